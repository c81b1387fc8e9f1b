"""Contacts, lists, subscriptions, suppression, segments and imports: who may be written to."""

from typing import Any

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Exists, OuterRef, Q, Value
from django.db.models.functions import Coalesce, Concat, Lower, NullIf, Trim, Upper
from django.utils import timezone
from django.utils.text import slugify

from accounts.models import User, Workspace


class ScopedQuerySet(models.QuerySet):
    def of(self, workspace: Workspace) -> "ScopedQuerySet":
        """Only what belongs to the workspace: the start of every query in a view."""
        return self.filter(workspace=workspace)


class FieldType(models.TextChoices):
    TEXT = "text", "Text"
    NUMBER = "number", "Number"
    DATE = "date", "Date"
    BOOLEAN = "boolean", "Yes or no"


class CustomField(models.Model):
    """A typed attribute that contacts of the workspace may have; its values live in `Contact.attributes`."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="custom_fields")
    key = models.SlugField(max_length=60)  # as written in merge tags: {{ contact.city }}
    label = models.CharField(max_length=80)
    type = models.CharField(max_length=10, choices=FieldType.choices, default=FieldType.TEXT)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["label"]
        constraints = [models.UniqueConstraint(fields=["workspace", "key"], name="one_field_per_key")]

    def __str__(self) -> str:
        return self.label


class ContactQuerySet(ScopedQuerySet):
    def sendable(self) -> "ContactQuerySet":
        """Those who may get a campaign: subscribed to at least one list, and not suppressed."""
        return self.filter(
            Exists(Subscription.objects.filter(contact=OuterRef("pk"), status=SubscriptionStatus.SUBSCRIBED)),
            ~Exists(
                Suppression.objects.filter(workspace=OuterRef("workspace"), email=Lower(OuterRef("email")))
            ),
        )


# What the list sorted by name goes by: whoever has no name comes last. An index holds it, so it stands here.
NAME_KEY = Coalesce(
    NullIf(Upper(Trim(Concat("first_name", Value(" "), "last_name"))), Value("")), Value("\U0010ffff")
)


class Contact(models.Model):
    """A person, by e-mail address; one in a workspace whatever the address's case."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="contacts")
    email = models.EmailField(max_length=254)
    first_name = models.CharField(max_length=120, blank=True, default="")
    last_name = models.CharField(max_length=120, blank=True, default="")
    # {field key: value}: text as str, number as int or float, date as "YYYY-MM-DD", yes/no as bool
    attributes = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    objects = ContactQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("workspace", Lower("email"), name="one_contact_per_address")]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="contact_newest_idx"),
            # Search by any part of an address or a name.
            GinIndex(
                OpClass(Upper("email"), name="gin_trgm_ops"),
                OpClass(Upper("first_name"), name="gin_trgm_ops"),
                OpClass(Upper("last_name"), name="gin_trgm_ops"),
                name="contact_search_idx",
            ),
            models.Index("workspace", NAME_KEY, "id", name="contact_name_idx"),
            GinIndex(fields=["attributes"], opclasses=["jsonb_path_ops"], name="contact_attributes_idx"),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class List(models.Model):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="lists")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint("workspace", Lower("name"), name="one_list_per_name")]

    def __str__(self) -> str:
        return self.name


class SubscriptionStatus(models.TextChoices):
    PENDING = "pending", "Unconfirmed"
    SUBSCRIBED = "subscribed", "Subscribed"
    UNSUBSCRIBED = "unsubscribed", "Unsubscribed"


TAKEN_OFF = "Taken off by hand by"  # how the source of an unsubscription begins that was not the person's own


class Subscription(models.Model):
    """A contact on a list, with the record of consent: when, where from, in what words."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="subscriptions")
    list = models.ForeignKey(List, on_delete=models.CASCADE, related_name="subscriptions")
    status = models.CharField(max_length=12, choices=SubscriptionStatus.choices)
    consent_source = models.CharField(max_length=200, blank=True)  # "Import of customers.csv by Alice"
    consent_at = models.DateTimeField(null=True, blank=True)
    consent_ip = models.GenericIPAddressField(null=True, blank=True)
    unsubscribed_at = models.DateTimeField(null=True, blank=True)
    unsubscribe_source = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["contact", "list"], name="one_subscription_per_list")]
        indexes = [
            # Audience and counts of a list by status.
            models.Index(fields=["workspace", "list", "status", "contact"], name="subscription_list_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.contact} on {self.list}: {self.status}"

    @property
    def left_by_themselves(self) -> bool:
        """Whether it was the person who ended it; nobody puts them back without their asking."""
        is_over = self.status == SubscriptionStatus.UNSUBSCRIBED
        return is_over and not self.unsubscribe_source.startswith(TAKEN_OFF)


class SuppressionReason(models.TextChoices):
    MANUAL = "manual", "Added by hand"
    UNSUBSCRIBED = "unsubscribed", "Unsubscribed from everything"
    HARD_BOUNCE = "hard_bounce", "Hard bounce"
    COMPLAINT = "complaint", "Complaint"


class Suppression(models.Model):
    """An address that nothing is sent to. Outlives the contact; checked when sending, not only when planning."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="suppressions")
    email = models.EmailField(max_length=254)  # lower case
    reason = models.CharField(max_length=12, choices=SuppressionReason.choices)
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "email"], name="one_suppression_per_address"),
            models.CheckConstraint(condition=Q(email=Lower("email")), name="suppression_lower_case"),
        ]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="suppression_newest_idx"),
            GinIndex(OpClass(Upper("email"), name="gin_trgm_ops"), name="suppression_search_idx"),
        ]

    def __str__(self) -> str:
        return self.email


class Segment(models.Model):
    """Contacts that match rules, worked out when asked. rules: see `contacts.segments`."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="segments")
    name = models.CharField(max_length=120)
    rules: Any = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint("workspace", Lower("name"), name="one_segment_per_name")]

    def __str__(self) -> str:
        return self.name


class ImportState(models.TextChoices):
    MAPPING = "mapping", "Waiting for the columns"
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    CANCELED = "canceled", "Canceled"
    FAILED = "failed", "Failed"


class Import(models.Model):
    """One uploaded file on its way to contacts."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="imports")
    file = models.FileField(upload_to="imports/%Y/%m/", max_length=255)
    file_name = models.CharField(max_length=255)
    state = models.CharField(max_length=10, choices=ImportState.choices, default=ImportState.MAPPING)
    # As guessed from the file, and corrected by the person.
    encoding = models.CharField(max_length=20)
    delimiter = models.CharField(max_length=1)
    has_header = models.BooleanField(default=True)
    notation = models.CharField(max_length=2, default="us")  # a key of `contacts.importing.values.NOTATIONS`
    # One entry a column: "" (left out), "email", "first_name", "last_name", "name", "attribute:KEY"
    mapping: Any = models.JSONField(default=list)
    lists = models.ManyToManyField(List, blank=True, related_name="+")
    list_count = models.PositiveSmallIntegerField(default=0)  # as chosen; fewer left: one was deleted
    consent_note = models.CharField(max_length=200, blank=True)
    # Counts of rows; total is 0 until the file was read once.
    total_count = models.PositiveIntegerField(default=0)
    done_count = models.PositiveIntegerField(default=0)
    created_count = models.PositiveIntegerField(default=0)
    updated_count = models.PositiveIntegerField(default=0)
    refused_count = models.PositiveIntegerField(default=0)
    repeated_count = models.PositiveIntegerField(default=0)  # rows whose address stood further up in the file
    held_count = models.PositiveIntegerField(default=0)  # people not subscribed again
    extra_count = models.PositiveIntegerField(default=0)  # rows with more cells than there are columns
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    progress_at = models.DateTimeField(null=True, blank=True)  # a run that fell silent is queued again
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["workspace", "-id"], name="import_newest_idx")]

    def __str__(self) -> str:
        return self.file_name

    @property
    def is_open(self) -> bool:
        return self.state in (ImportState.QUEUED, ImportState.RUNNING)

    @property
    def consent_source(self) -> str:
        """What each new subscription's record of consent says."""
        by = f" by {self.created_by}" if self.created_by else ""
        note = f": {self.consent_note}" if self.consent_note else ""
        return f"Import of {self.file_name}{by}{note}"[:200]


class ImportRefusal(models.Model):
    """A row that was not taken, with its number in the file, its text and the reason."""

    run = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="refusals")
    row_number = models.PositiveIntegerField()
    text = models.TextField()
    reason = models.CharField(max_length=300)

    class Meta:
        indexes = [models.Index(fields=["run", "row_number"], name="import_refusal_idx")]

    def __str__(self) -> str:
        return f"row {self.row_number}: {self.reason}"


class ExportState(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Ready"
    CANCELED = "canceled", "Canceled"
    FAILED = "failed", "Failed"
    EXPIRED = "expired", "Deleted"


class ExportFormat(models.TextChoices):
    CSV = "csv", "CSV"
    XLSX = "xlsx", "Excel (XLSX)"


class Export(models.Model):
    """Contacts on their way to a file."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="exports")
    name = models.CharField(max_length=200)  # what it is of, in words
    chosen: Any = models.JSONField(default=dict)  # the same for `contacts.exporting.chosen`
    format = models.CharField(max_length=4, choices=ExportFormat.choices, default=ExportFormat.CSV)
    state = models.CharField(max_length=10, choices=ExportState.choices, default=ExportState.QUEUED)
    claim = models.UUIDField(null=True, blank=True)  # of the worker that has it
    file = models.FileField(max_length=255, blank=True)
    size = models.PositiveBigIntegerField(default=0)  # bytes
    total_count = models.PositiveIntegerField(default=0)  # rows; 0 until they were counted
    done_count = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    progress_at = models.DateTimeField(null=True, blank=True)  # a run that fell silent is queued again
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["workspace", "-id"], name="export_newest_idx")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_open(self) -> bool:
        return self.state in (ExportState.QUEUED, ExportState.RUNNING)

    @property
    def file_name(self) -> str:
        """For the browser: what it is of, in letters that every system takes."""
        word = slugify(self.name) or "contacts"
        return f"{word[:60]}-{self.created_at:%Y-%m-%d}.{self.format}"
