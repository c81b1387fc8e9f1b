"""Contacts, lists, subscriptions, suppression, segments, imports and exports: who may be written to."""

from contacts.models.exports import Export, ExportFormat, ExportState
from contacts.models.fields import CustomField, FieldType
from contacts.models.imports import (
    Import,
    ImportBefore,
    ImportMode,
    ImportRefusal,
    ImportSlice,
    ImportState,
    ImportTask,
)
from contacts.models.lists import TAKEN_OFF, List, OptIn, Subscription, SubscriptionStatus
from contacts.models.people import HAS_TAGS, NAME_KEY, Contact, ContactQuerySet, Tag
from contacts.models.runs import LongRun
from contacts.models.scoped import ScopedQuerySet
from contacts.models.segments import Segment
from contacts.models.suppression import Suppression, SuppressionReason

__all__ = [
    "HAS_TAGS",
    "NAME_KEY",
    "TAKEN_OFF",
    "Contact",
    "ContactQuerySet",
    "CustomField",
    "Export",
    "ExportFormat",
    "ExportState",
    "FieldType",
    "Import",
    "ImportBefore",
    "ImportMode",
    "ImportRefusal",
    "ImportSlice",
    "ImportState",
    "ImportTask",
    "List",
    "LongRun",
    "OptIn",
    "ScopedQuerySet",
    "Segment",
    "Subscription",
    "SubscriptionStatus",
    "Suppression",
    "SuppressionReason",
    "Tag",
]
