"""The domains that a workspace sends from, and the keys their messages are signed with."""

from typing import Any

from django.db import models
from django.utils import timezone

from accounts.models import Workspace
from contacts.models import ScopedQuerySet


class SendingDomain(models.Model):
    """What stands behind the @ of a sender, and what DNS said of it last."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="sending_domains")
    name = models.CharField(max_length=253)  # lower case, ASCII (IDNA 2008)
    # Whether Volley signs what leaves by SMTP; off where the server signs itself.
    signs = models.BooleanField(default=True)
    # Names of keys that others sign with: an ESP's, or the SMTP server's own.
    other_selectors = models.CharField(max_length=500, blank=True)
    # What a server's addresses are allowed by, where its host name is not enough: "include:_spf.example.net".
    spf_terms = models.CharField(max_length=500, blank=True)
    # Campaigns may leave from it although DKIM or DMARC is missing.
    is_excused = models.BooleanField(default=False)
    # Of delivery.domains.check: {"records": [Finding], "hosts": [Finding], "blocklists": [Finding]} as dicts.
    checks: Any = models.JSONField(default=dict, blank=True)
    # What turned wrong since it was in order, in words; "" where nothing did: see delivery.domains.alarms.
    alarm = models.TextField(blank=True, db_default="")
    checked_at = models.DateTimeField(null=True, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)  # when a check was queued last
    created_at = models.DateTimeField(default=timezone.now)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="one_domain_per_name")]
        indexes = [
            # The clock: which were not looked at for a day?
            models.Index(fields=["checked_at"], name="domain_checked_idx")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_being_checked(self) -> bool:
        return self.asked_at is not None and (self.checked_at is None or self.checked_at < self.asked_at)

    @property
    def selectors(self) -> list[str]:
        """Those of others."""
        return self.other_selectors.split()


class DkimKey(models.Model):
    """A key pair under its selector (RFC 6376 §3.1). In turn: announced, signing, retired."""

    domain = models.ForeignKey(SendingDomain, on_delete=models.CASCADE, related_name="keys")
    selector = models.CharField(max_length=63)
    private_key = models.BinaryField()  # PEM, sealed by delivery.secrets
    public_key = models.TextField()  # base64 of its SubjectPublicKeyInfo: p= of its record
    created_at = models.DateTimeField(default=timezone.now)
    signs_from = models.DateTimeField(null=True, blank=True)  # null: announced, not used yet
    retired_at = models.DateTimeField(null=True, blank=True)  # signs no more; its record stays for a while

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["domain", "selector"], name="one_key_per_selector"),
            models.UniqueConstraint(
                fields=["domain"],
                condition=models.Q(signs_from__isnull=False, retired_at=None),
                name="one_signing_key",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def host(self) -> str:
        return f"{self.selector}._domainkey.{self.domain.name}"

    @property
    def record(self) -> str:
        return f"v=DKIM1; k=rsa; p={self.public_key}"
