"""People, workspaces (the tenant), roles, invitations, and the audit trail."""

import secrets
import zoneinfo
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Value
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.trail import WORDS


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, email: str | None) -> "User":
        return self.get(email__iexact=email)


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in, by e-mail address."""

    email = models.EmailField(max_length=254)
    name = models.CharField(max_length=120, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="one_user_per_address")]

    def __str__(self) -> str:
        return self.name or self.email


# allauth and the auth checks ask for `unique`; the constraint above is stricter, whatever the case.
setattr(User._meta.get_field("email"), "_unique", True)  # noqa: B010


def check_zone(name: str) -> None:
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"“{name}” is not a time zone; choose one such as Europe/Berlin.")


class InDoubt(models.TextChoices):
    """What becomes of messages in doubt once a person had time to decide."""

    LEAVE = "leave", "Stay in doubt, for a person to decide"
    COUNT = "count", "Count as delivered; some may never have arrived"
    AGAIN = "again", "Are tried once more; some people may get them twice"


class Workspace(models.Model):
    """The tenant: everything else belongs to one."""

    name = models.CharField(max_length=120)
    time_zone = models.CharField(max_length=64, default="UTC", validators=[check_zone])
    # Printed at the foot of every campaign (CAN-SPAM §7704(a)(5)); preflight asks for it.
    postal_address = models.TextField(blank=True)
    # Of the pages that recipients see, where neither they nor their browser say another; and of the foot of messages.
    language = models.CharField(max_length=8, default="en", db_default="en")
    # Whether a message of which nobody knows if it arrived is sent once more, or held for a person to decide.
    repeats_in_doubt = models.BooleanField(default=True)
    # What becomes of those that stay in doubt, so many hours after their mailing ended; see delivery.doubt.
    in_doubt_then = models.CharField(
        max_length=5, choices=InDoubt.choices, default=InDoubt.LEAVE, db_default=InDoubt.LEAVE
    )
    in_doubt_hours = models.PositiveSmallIntegerField(default=24, db_default=24)
    # A campaign pauses itself once so many of a hundred recipients were rejected; 0: never.
    pause_at_rejected_percent = models.PositiveSmallIntegerField(default=10)
    # The same of what comes back, in per cent of the messages sent: hard bounces, complaints, whoever leaves by the
    # message, and what one receiving domain refuses of its own. 0: never. Complaints by Gmail's and Yahoo's own limit.
    pause_at_bounced_percent = models.FloatField(default=5, db_default=5)
    pause_at_complained_percent = models.FloatField(default=0.3, db_default=0.3)
    pause_at_unsubscribed_percent = models.FloatField(default=2, db_default=2)
    pause_at_blocked_percent = models.FloatField(default=10, db_default=10)
    # A campaign to so many people or more goes to some first, and so many minutes later to the rest. From 0: never.
    gradual_from = models.PositiveIntegerField(default=10_000, db_default=10_000)
    gradual_count = models.PositiveIntegerField(default=500, db_default=500)
    gradual_minutes = models.PositiveSmallIntegerField(default=15, db_default=15)
    # An address is suppressed after so many soft bounces in a row over so many days; for so long (days, 0: for good).
    soft_bounce_limit = models.PositiveSmallIntegerField(default=5, db_default=5)  # 0: never
    soft_bounce_days = models.PositiveSmallIntegerField(default=7, db_default=7)
    soft_suppression_days = models.PositiveSmallIntegerField(default=180, db_default=180)
    created_at = models.DateTimeField(default=timezone.now)
    members = models.ManyToManyField(User, through="Membership", related_name="workspaces")

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone)


class Role(models.TextChoices):
    VIEWER = "viewer", "Viewer"
    MARKETER = "marketer", "Marketer"
    ADMIN = "admin", "Admin"
    OWNER = "owner", "Owner"

    def may(self, needed: "Role") -> bool:
        """Whether this role includes the needed one; each includes those before it."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Membership(models.Model):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    joined_at = models.DateTimeField(default=timezone.now)
    # {table: the names of the columns that this member wants to see in it}; a table that is missing is as it comes.
    columns: Any = models.JSONField(default=dict, db_default=Value({}, models.JSONField()), blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "user"], name="one_membership_per_person")
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.workspace}: {self.role}"


def invitation_token() -> str:
    return secrets.token_urlsafe(32)


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self) -> "InvitationQuerySet":
        """Those that can still be taken."""
        newest = timezone.now() - timedelta(days=Invitation.DAYS)
        return self.filter(accepted_at=None, created_at__gt=newest)


class Invitation(models.Model):
    """An offer of a role, by mail; whoever holds the link and signs in takes it once."""

    DAYS: ClassVar[int] = 14  # after which the link no longer works

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=10, choices=Role.choices)
    token = models.CharField(max_length=64, unique=True, default=invitation_token)
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    accepted_at = models.DateTimeField(null=True, blank=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "workspace", Lower("email"), condition=models.Q(accepted_at=None), name="one_open_invitation"
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.workspace}"

    @property
    def is_open(self) -> bool:
        return self.accepted_at is None and self.created_at > timezone.now() - timedelta(days=self.DAYS)


class Installation(models.Model):
    """One row: where this database was when Volley last looked; see delivery.origin."""

    origin = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.origin


class AuditEntry(models.Model):
    """Who did what, when: written by actions in their own transaction."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="audit_entries")
    user = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    verb = models.CharField(max_length=60)
    subject = models.CharField(max_length=200)
    # What of the subject, such as the names of a contact's fields; never a value.
    detail = models.CharField(max_length=200, blank=True, default="", db_default="")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "-id"], name="audit_newest_idx"),
            # What was done to one thing, by what it was called.
            models.Index("workspace", Lower("subject"), name="audit_subject_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.subject}"

    @property
    def words(self) -> str:
        """What was done; the verb itself where no version of Volley knows it any more."""
        words = WORDS.get(self.verb, self.verb)
        return f"{words}: {self.detail}" if self.detail else words


def record(
    user: User | None, verb: str, subject: Any, *, detail: str = "", workspace: Workspace | None = None
) -> None:
    """Write one line of the audit trail.

    verb: one of accounts.trail. subject: an object with a workspace, or any text with `workspace=`.
    """
    AuditEntry.objects.create(
        workspace=workspace or subject.workspace,
        user=user,
        verb=verb,
        subject=str(subject)[:200],
        detail=detail[:200],
    )
