"""Custom fields: what the workspace wants to know of its contacts."""

from typing import Any

from django.db import models
from django.db.models import Value
from django.db.models.functions import Lower

from accounts.models import Workspace
from contacts.models.scoped import ScopedQuerySet


class FieldType(models.TextChoices):
    TEXT = "text", "Text"
    NUMBER = "number", "Number"
    DATE = "date", "Date"
    BOOLEAN = "boolean", "Yes or no"
    CHOICE = "choice", "Choice"


class CustomField(models.Model):
    """A typed attribute that contacts of the workspace may have; its values live in `Contact.attributes`."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="custom_fields")
    key = models.SlugField(max_length=60)  # as written in merge tags: {{ contact.city }}
    label = models.CharField(max_length=80)
    type = models.CharField(max_length=10, choices=FieldType.choices, default=FieldType.TEXT)
    options: Any = models.JSONField(
        default=list, blank=True
    )  # of a choice: the texts to choose from, in their order
    default = models.CharField(max_length=200, blank=True, default="")  # what mail says of who has no value
    description = models.CharField(max_length=200, blank=True, default="", db_default="")  # for the team
    # What values keep within, each bound where there is one: {"min": …, "max": …}. Of a number: numbers; of a date:
    # "YYYY-MM-DD"; of a text "max" alone, characters. See contacts.fitting.
    limits: Any = models.JSONField(default=dict, db_default=Value({}, models.JSONField()), blank=True)
    position = models.PositiveSmallIntegerField(default=0, db_default=0)  # ties go by label

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["position", Lower("label"), "pk"]
        constraints = [models.UniqueConstraint(fields=["workspace", "key"], name="one_field_per_key")]

    def __str__(self) -> str:
        return self.label
