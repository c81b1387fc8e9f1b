"""What can be done with sending domains: added, set up, checked, given a new key, deleted."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import User, Workspace, record
from accounts.queue import enqueue
from delivery.domains import alarms, keys, standing
from delivery.domains.check import check
from delivery.domains.findings import Finding, worst
from delivery.domains.naming import domain_of
from delivery.models import DkimKey, SendingAccount, SendingDomain
from delivery.providers import PROVIDERS

JOB = "delivery.jobs.check_domain"
CHECK_EVERY = timedelta(days=1)
ASK_AGAIN = timedelta(minutes=10)  # for a check that was lost
TOO_LATE = timedelta(minutes=2)  # from which on no worker seems to be there
AT_ONCE = 1  # domain that one tick of the clock asks for; a check may take half a minute
log = logging.getLogger(__name__)


class DomainKnown(Refusal):
    code = "domain_known"
    status = 409


class KeyWaits(Refusal):
    code = "key_waits"
    status = 409


@dataclass(frozen=True)
class Setup:
    """What a person may change: see `SendingDomain`."""

    signs: bool
    other_selectors: str
    spf_terms: str
    is_excused: bool


def add(workspace: Workspace, name: str, *, by: User) -> SendingDomain:
    """Take a domain in, with its first key, and look it up. name: as `naming.ascii_name` gives it.

    Raises: DomainKnown: the workspace has it.
    """
    try:
        with transaction.atomic(durable=True):
            domain = SendingDomain.objects.create(workspace=workspace, name=name)
            _begin(domain, by)
    except IntegrityError as error:
        raise DomainKnown(f"{name} is one of your sending domains already.") from error
    return domain


@transaction.atomic
def take_in(account: SendingAccount, sender: str, *, by: User | None) -> bool:
    """Make the sender's domain one of the workspace's and look it up, unless one answers for it or nobody looks.

    Volley is to sign for it where the account does not do so itself.
    Returns: whether its first check is still to come, which takes half a minute once a worker has it.
    """
    if not standing.is_looked_up(account, sender):
        return False
    domain = standing.domain_for(account.workspace, sender)
    if domain is None:
        domain, is_new = SendingDomain.objects.get_or_create(
            workspace=account.workspace,
            name=domain_of(sender),
            defaults={"signs": not PROVIDERS[account.provider].is_esp},
        )
        if is_new:
            _begin(domain, by)
    return domain.checked_at is None


def _begin(domain: SendingDomain, by: User | None) -> None:
    keys.make(domain).save()
    record(by, "domain.added", domain)
    _ask(domain)


@transaction.atomic(durable=True)
def set_up(domain: SendingDomain, setup: Setup, *, by: User) -> None:
    SendingDomain.objects.filter(pk=domain.pk).update(
        signs=setup.signs,
        other_selectors=setup.other_selectors,
        spf_terms=setup.spf_terms,
        is_excused=setup.is_excused,
    )
    record(by, "domain.changed", domain)
    if setup.is_excused and not domain.is_excused:
        record(by, "domain.excused", domain)
    _ask(domain)


@transaction.atomic(durable=True)
def rotate(domain: SendingDomain, *, by: User) -> DkimKey:
    """Make the next key; it signs from the check on that finds its record, and the old one no more.

    Raises: KeyWaits: one is waiting for its record.
    """
    SendingDomain.objects.select_for_update().get(pk=domain.pk)
    if DkimKey.objects.filter(domain=domain, signs_from=None).exists():
        raise KeyWaits("A new key is waiting for its record already. Set that one, then check.")
    key = keys.make(domain)
    key.save()
    record(by, "domain.key_made", domain)
    _ask(domain)
    return key


@transaction.atomic(durable=True)
def delete(domain: SendingDomain, *, by: User) -> None:
    """Its keys are gone for good; what is sent from it is signed by nobody here."""
    record(by, "domain.deleted", domain)
    domain.delete()


@transaction.atomic(durable=True)
def ask_check(domain: SendingDomain) -> None:
    """Queue a check; nobody's deed worth a line in the trail."""
    _ask(domain)


def _ask(domain: SendingDomain, *, queue: str = "system") -> None:
    SendingDomain.objects.filter(pk=domain.pk).update(asked_at=timezone.now())
    enqueue(JOB, queue=queue, domain_id=domain.pk)


def ask_daily() -> int:
    """Queue checks of those that nobody looked at for a day; for the clock. By the index on checked_at."""
    now = timezone.now()
    due = SendingDomain.objects.filter(
        Q(checked_at=None) | Q(checked_at__lt=now - CHECK_EVERY),
        Q(asked_at=None) | Q(asked_at__lt=now - ASK_AGAIN),
    )
    domains = list(due.order_by("checked_at")[:AT_ONCE])
    for domain in domains:
        _ask(domain, queue="bulk")  # nobody waits for it, and launches wait for "system"
    return len(domains)


def run_check(domain_id: int) -> str:
    """Look it up and keep what was found; a key whose record is found begins to sign. Safe to run twice.

    Returns: the worst state in words; "" where the domain is gone.
    """
    domain = SendingDomain.objects.select_related("workspace").filter(pk=domain_id).first()
    if domain is None:
        return ""
    found = check(domain)
    if _take_up(domain, [Finding(**each) for each in found["records"]]):
        found = check(domain)
    found = alarms.compared(found, domain.checks)
    alarm = alarms.alarm_of(found, domain.alarm)
    SendingDomain.objects.filter(pk=domain_id).update(checks=found, checked_at=timezone.now(), alarm=alarm)
    if alarm != domain.alarm:
        log.info("domain.alarm domain=%s alarm=%s", domain.name, alarm or "over")
    return worst([each["state"] for findings in found.values() for each in findings])


@transaction.atomic
def _take_up(domain: SendingDomain, records: list[Finding]) -> bool:
    """The next key, once its record is there, in place of the one that signs. Returns: whether there was one."""
    in_place = {each.host for each in records if each.subject == "dkim" and each.state == "good"}
    waiting = DkimKey.objects.select_for_update().filter(domain=domain, signs_from=None)
    for key in waiting.select_related("domain"):
        if key.host in in_place:
            now = timezone.now()
            DkimKey.objects.filter(domain=domain, signs_from__isnull=False, retired_at=None).update(
                retired_at=now
            )
            DkimKey.objects.filter(pk=key.pk).update(signs_from=now)
            record(None, "domain.key_taken_up", domain)
            log.info("domain.key_taken_up domain=%s selector=%s", domain.name, key.selector)
            return True
    return False
