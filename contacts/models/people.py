"""Contacts and their tags."""

from typing import Final

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Exists, OuterRef, Q, Value
from django.db.models.functions import Coalesce, Concat, Lower, NullIf, Trim, Upper
from django.utils import timezone

from accounts.models import Workspace
from contacts.models.lists import Subscription, SubscriptionStatus
from contacts.models.scoped import ScopedQuerySet
from contacts.models.suppression import Suppression


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


HAS_TAGS = ~Q(tag_ids=[])
NAMES: Final = {
    "email": "E-mail",
    "first_name": "First name",
    "last_name": "Last name",
}  # as the pages call them


class Frequency(models.TextChoices):
    """How often somebody wants campaigns at most, by their own choice."""

    ALL = "", "All of them"
    WEEKLY = "weekly", "At most one a week"
    MONTHLY = "monthly", "At most one a month"


WANTS_LESS = Q(paused_until__isnull=False) | ~Q(frequency="")


class Contact(models.Model):
    """A person, by e-mail address; one in a workspace whatever the address's case."""

    # An index of its own, beside those that begin with it, would cost imports and mislead the planner. The key is
    # checked by triggers, once a statement (migration 0020).
    workspace = models.ForeignKey(
        Workspace, on_delete=models.CASCADE, related_name="contacts", db_index=False, db_constraint=False
    )
    email = models.EmailField(max_length=254)
    first_name = models.CharField(max_length=120, blank=True, default="")
    last_name = models.CharField(max_length=120, blank=True, default="")
    # {field key: value}: text as str, choice as str, number as int or float, date as "YYYY-MM-DD", yes/no as bool
    attributes = models.JSONField(default=dict, blank=True)
    # Ids of the workspace's tags, each once; an id whose tag is gone means nothing.
    tag_ids = ArrayField(models.IntegerField(), default=list, db_default=[], blank=True)
    # Their own choice in the preference centre. language: a code of settings.LANGUAGES, or "" for none.
    language = models.CharField(max_length=8, blank=True, default="", db_default="")
    frequency = models.CharField(
        max_length=8, choices=Frequency.choices, blank=True, default=Frequency.ALL, db_default=""
    )
    paused_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    objects = ContactQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("workspace", Lower("email"), name="one_contact_per_address")]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="contact_newest_idx"),
            # Search by any part of an address or a name. Imports write it and that of the attributes in larger pieces,
            # in kilobytes; a search reads what waits, half a millisecond a megabyte.
            GinIndex(
                OpClass(Upper("email"), name="gin_trgm_ops"),
                OpClass(Upper("first_name"), name="gin_trgm_ops"),
                OpClass(Upper("last_name"), name="gin_trgm_ops"),
                name="contact_search_idx",
                gin_pending_list_limit=16_384,
            ),
            models.Index("workspace", NAME_KEY, "id", name="contact_name_idx"),
            GinIndex(
                fields=["attributes"],
                opclasses=["jsonb_path_ops"],
                name="contact_attributes_idx",
                gin_pending_list_limit=8_192,
            ),
            # Who has a tag. Most have none, and cost nothing here; a query says so too, with HAS_TAGS.
            GinIndex(fields=["tag_ids"], condition=HAS_TAGS, name="contact_tags_idx"),
            # Of an audience: who paused, or wants less? Few, as with tags.
            models.Index(fields=["workspace", "id"], condition=WANTS_LESS, name="contact_wants_less_idx"),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def language_name(self) -> str:
        return dict(settings.LANGUAGES).get(self.language, self.language)

    @property
    def is_paused(self) -> bool:
        return self.paused_until is not None and self.paused_until > timezone.now()


class Tag(models.Model):
    """A word that contacts are marked with; `Contact.tag_ids` holds its id."""

    id = models.AutoField(primary_key=True)  # of four bytes, since contacts hold many
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(max_length=60)
    created_at = models.DateTimeField(default=timezone.now)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint("workspace", Lower("name"), name="one_tag_per_name")]

    def __str__(self) -> str:
        return self.name


class TagCleanup(models.Model):
    """A tag that is gone, whose id many contacts still hold: a job gives them the other one, if any, and drops it."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    tag_id = models.IntegerField()
    into_id = models.IntegerField(null=True)  # the tag they get instead
    touched_at = models.DateTimeField(default=timezone.now)  # when its job last gave a sign of life

    def __str__(self) -> str:
        return f"{self.tag_id} into {self.into_id or 'nothing'}"


class FormerContact(models.Model):
    """What a contact was before: another one that was merged into it, or itself under another address.

    Whoever knows the person by the old id or address still finds them.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="formers")
    former_id = models.BigIntegerField(unique=True, null=True)  # of one that was merged
    email = models.EmailField(max_length=254)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.email
