"""Why people left, where they said so."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace
from contacts.models import ScopedQuerySet
from delivery.models.mailings import Mailing


class Why(models.TextChoices):
    """What people choose from; in their language on their page, in English on the marketer's."""

    TOO_OFTEN = "too_often", _("Too many messages")
    NOT_FOR_ME = "not_for_me", _("It is not about what interests me")
    NOT_EXPECTED = "not_expected", _("It is not what I signed up for")
    NEVER_ASKED = "never_asked", _("I never signed up")
    OTHER = "other", _("Another reason")


class LeavingReason(models.Model):
    """What somebody answered when they left by the link of a message; one a message, the last answer holds.

    Who it was stands in the ledger's row of that number alone.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="reasons", db_index=False)
    number = models.PositiveIntegerField()  # of the ledger
    list_ids = ArrayField(models.BigIntegerField())  # that they left
    why = models.CharField(max_length=12, choices=Why.choices)
    words = models.CharField(max_length=500, blank=True)  # "" once the person is erased
    at = models.DateTimeField(default=timezone.now)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mailing", "number"], name="one_reason_per_message")]
        indexes = [models.Index(fields=["workspace", "-id"], name="reason_newest_idx")]

    def __str__(self) -> str:
        return f"{self.mailing_id}/{self.number}: {self.why}"
