"""The ways out of a workspace: sending accounts."""

import secrets
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from accounts.models import Workspace
from contacts.models import ScopedQuerySet
from delivery.domains.naming import domain_of


def new_hook_key() -> str:
    """128 bits: whoever knows it may say what became of the account's messages."""
    return secrets.token_urlsafe(16)


class SendingAccount(models.Model):
    """A way out: an SMTP server or an ESP, with its limits. Secrets are encrypted at rest."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="sending_accounts")
    name = models.CharField(max_length=120)
    # "inbox", "smtp", or the name of an anymail backend: "mailgun", "amazon_ses", …
    provider = models.CharField(max_length=30)
    settings: Any = models.JSONField(default=dict)  # host, port, security, user name, region: nothing secret
    secrets = models.BinaryField(default=bytes)  # delivery.secrets: MultiFernet over JSON
    # Messages; None: as fast as it takes them. Shared by all workers; see delivery.pipeline.pace.
    rate_per_second = models.FloatField(null=True, blank=True)
    rate_per_minute = models.PositiveIntegerField(null=True, blank=True)
    rate_per_hour = models.PositiveIntegerField(null=True, blank=True)
    rate_per_day = models.PositiveIntegerField(null=True, blank=True)
    # The daily limits of the first days, after which rate_per_day holds; empty: no warm-up.
    warm_up = ArrayField(models.PositiveIntegerField(), default=list, blank=True)
    warm_up_from = models.DateField(null=True, blank=True)  # its first day, in the workspace's zone
    # Towards one receiving domain, in messages and connections over all workers; None: no limit.
    domain_per_second = models.FloatField(null=True, blank=True)
    domain_lanes = models.PositiveSmallIntegerField(null=True, blank=True)
    lanes = models.PositiveSmallIntegerField(default=4)  # connections at once in each worker
    # What its provider allows the whole account there, where it can be asked: see delivery.quota. {}: not known.
    quota: Any = models.JSONField(default=dict, blank=True, db_default={})
    quota_at = models.DateTimeField(null=True, blank=True)
    is_default = models.BooleanField(default=False)
    # What may stand behind the @ of its senders, each name as it is and none below it; empty: anything.
    sender_domains = ArrayField(models.CharField(max_length=253), default=list, blank=True)
    # Whether it takes over what an account that was set aside was sending: the lowest position first, and of those
    # with the same one each campaign goes to one by chance, in proportion to its share.
    stands_in = models.BooleanField(default=False)
    position = models.PositiveSmallIntegerField(default=0)
    share = models.PositiveSmallIntegerField(default=1)
    # Set aside after an error that concerns the account (authentication, blocked); "" is in use.
    stopped_reason = models.TextField(blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    tested_at = models.DateTimeField(null=True, blank=True)
    test_said = models.TextField(blank=True)  # "" after a good test
    hook_key = models.CharField(max_length=22, default=new_hook_key, unique=True)  # in its webhook's address
    # delivery.secrets: what its webhook's calls are known by; see delivery.hooks.setup.
    hook = models.BinaryField(default=bytes)
    event_at = models.DateTimeField(null=True, blank=True)  # when something came back of it last
    bounce_at = models.DateTimeField(null=True, blank=True)
    # When it last told of an open or click that is Volley's to count: see delivery.hooks.tracked.
    tracking_seen_at = models.DateTimeField(null=True, blank=True)
    refused_hook_count = models.PositiveIntegerField(default=0)  # calls whose signature or secret was wrong
    refused_hook_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)  # lanes kept open notice a change by it

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace"], condition=models.Q(is_default=True), name="one_default_account"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def refusal_of(self, address: str) -> str:
        """Why it may not send from this address, as its owner says; "" where it may."""
        if not self.sender_domains or domain_of(address) in self.sender_domains:
            return ""
        return f"“{self}” may send from {', '.join(self.sender_domains)} alone, and not from {address}."
