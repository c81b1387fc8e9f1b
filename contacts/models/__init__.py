"""Contacts, lists, subscriptions, suppression, segments, imports and exports: who may be written to."""

from contacts.models.bulk import BulkAction, BulkChunk, BulkRun, BulkState
from contacts.models.erasure import ErasedAddress
from contacts.models.exports import Export, ExportFormat, ExportState
from contacts.models.fields import CustomField, FieldType
from contacts.models.growth import ListChange, ListDay
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
from contacts.models.people import (
    HAS_TAGS,
    NAME_KEY,
    NAMES,
    WANTS_LESS,
    Contact,
    ContactQuerySet,
    FormerContact,
    Frequency,
    Tag,
    TagCleanup,
)
from contacts.models.runs import LongRun
from contacts.models.scoped import ScopedQuerySet
from contacts.models.segments import Segment, SegmentKind, SegmentMember
from contacts.models.suppression import ListSuppression, SuppressedHash, Suppression, SuppressionReason

__all__ = [
    "HAS_TAGS",
    "NAMES",
    "NAME_KEY",
    "TAKEN_OFF",
    "WANTS_LESS",
    "BulkAction",
    "BulkChunk",
    "BulkRun",
    "BulkState",
    "Contact",
    "ContactQuerySet",
    "CustomField",
    "ErasedAddress",
    "Export",
    "ExportFormat",
    "ExportState",
    "FieldType",
    "FormerContact",
    "Frequency",
    "Import",
    "ImportBefore",
    "ImportMode",
    "ImportRefusal",
    "ImportSlice",
    "ImportState",
    "ImportTask",
    "List",
    "ListChange",
    "ListDay",
    "ListSuppression",
    "LongRun",
    "OptIn",
    "ScopedQuerySet",
    "Segment",
    "SegmentKind",
    "SegmentMember",
    "Subscription",
    "SubscriptionStatus",
    "SuppressedHash",
    "Suppression",
    "SuppressionReason",
    "Tag",
    "TagCleanup",
]
