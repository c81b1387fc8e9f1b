"""How a workspace watches opens and clicks, and what a report shows of them without counting events."""

from django.db import models

from accounts.models import Workspace
from contacts.models import CustomField
from delivery.models.mailings import Mailing


class Tracking(models.Model):
    """A workspace's rules; one without a row has the usual ones. They hold for what is launched from then on."""

    workspace = models.OneToOneField(
        Workspace, on_delete=models.CASCADE, related_name="tracking", primary_key=True
    )
    opens = models.BooleanField(default=True)
    clicks = models.BooleanField(default=True)
    is_nameless = models.BooleanField(
        default=False
    )  # totals alone: no message tells its recipient from another
    # Only who says yes in this field; without one, once it is deleted, nobody.
    needs_consent = models.BooleanField(default=False)
    consent_field = models.ForeignKey(
        CustomField, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # What all links in messages begin with in place of PUBLIC_URL, once it was seen to lead here.
    domain = models.CharField(max_length=253, blank=True)
    domain_url = models.CharField(max_length=270, blank=True)  # "https://t.brand.com"; "" until it was seen
    domain_checked_at = models.DateTimeField(null=True, blank=True)
    domain_said = models.CharField(max_length=300, blank=True)  # "" after a good check

    def __str__(self) -> str:
        return f"Tracking of {self.workspace_id}"


class LinkTally(models.Model):
    """What became of one link of a mailing. Kept with the events in one transaction; may be below zero for none."""

    mailing = models.ForeignKey(
        Mailing, on_delete=models.CASCADE, related_name="link_tallies", db_index=False
    )
    digest = models.UUIDField()  # MD5 of the address, which is too long for an index
    url = models.CharField(max_length=2000)
    people_count = models.IntegerField(default=0)
    any_count = models.IntegerField(default=0, db_default=0)  # recipients, followed by a person or a machine
    click_total = models.IntegerField(default=0)
    machine_total = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mailing", "digest"], name="one_tally_per_link")]

    def __str__(self) -> str:
        return self.url


class HourTally(models.Model):
    """How often people opened and clicked in one hour, UTC, and apart how often machines did."""

    mailing = models.ForeignKey(
        Mailing, on_delete=models.CASCADE, related_name="hour_tallies", db_index=False
    )
    hour = models.DateTimeField()
    open_total = models.IntegerField(default=0)
    click_total = models.IntegerField(default=0)
    machine_open_total = models.IntegerField(default=0, db_default=0)
    machine_click_total = models.IntegerField(default=0, db_default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mailing", "hour"], name="one_tally_per_hour")]

    def __str__(self) -> str:
        return f"{self.mailing_id} {self.hour}"
