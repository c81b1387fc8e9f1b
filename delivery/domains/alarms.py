"""What turned wrong with a domain since it was in order, for those who do not open its page."""

from collections.abc import Iterator
from typing import Any, Final

from django.db.models import QuerySet

from accounts.models import Workspace
from delivery.domains.findings import Finding
from delivery.models import SendingDomain

SAID: Final = 300  # characters of what was found
Checks = dict[str, list[dict[str, Any]]]  # as `SendingDomain.checks` has them


def raised(workspace: Workspace) -> QuerySet[SendingDomain]:
    """The domains with an alarm, without what was found. By one_domain_per_name."""
    return SendingDomain.objects.of(workspace).exclude(alarm="").defer("checks")


def compared(found: Checks, before: Checks) -> Checks:
    """What was found, each finding with what became of it since the last check.

    Lost is what is wrong and was in order once, or what a blocklist lists; it stays so while DNS does not answer. What
    was never in order is being set up, and no alarm.
    """
    earlier = {_key(each): each for each in _findings(before)}
    for findings in found.values():
        for at, raw in enumerate(findings):
            now = Finding(**raw)
            last = earlier.get(_key(now), Finding(now.subject, now.label))
            now.was_in_order = now.state in ("good", "warning") or last.was_in_order
            is_bad = now.state == "wrong" and (now.was_in_order or now.subject == "blocklist")
            now.is_lost = is_bad or (now.state == "unknown" and last.is_lost)
            findings[at] = now.as_dict()
    return found


def alarm_of(checks: Checks, before: str) -> str:
    """In one sentence what is lost and what to do; "" where nothing is. before: the alarm until now, which stands
    while nobody knows."""
    lost = [each for each in _findings(checks) if each.is_lost]
    wrong = sorted((each for each in lost if each.state == "wrong"), key=lambda each: not each.required)
    if not wrong:
        return before if lost else ""
    more = f" And {len(wrong) - 1} more." if len(wrong) > 1 else ""
    return f"{_in_words(wrong[0])}{more}"


def _in_words(finding: Finding) -> str:
    said = finding.said[0][:SAID]
    if finding.subject == "blocklist":
        return f"{finding.host} is on the blocklist {finding.label}: {said.removeprefix('Listed: ')}"
    return f"{finding.label} was in order and is not any more: {said} The domain’s page shows what to set."


def _key(finding: Finding) -> tuple[str, str, str]:
    """DMARC is one, wherever its record stands: while it is lost, no domain above holds it."""
    return finding.subject, finding.label, "" if finding.subject == "dmarc" else finding.host


def _findings(checks: Checks) -> Iterator[Finding]:
    for group in ("records", "hosts", "blocklists"):
        for raw in checks.get(group, []):
            yield Finding(**raw)
