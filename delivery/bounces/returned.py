"""From a message that came back to facts about a recipient of ours: whom it concerns is told by signed tokens alone.

Anybody may write to a mailbox: an address in a message's text proves nothing, and suppresses nobody.
"""

import datetime
import email.utils
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from django.utils import timezone

from delivery import links
from delivery.bounces import addresses
from delivery.bounces.letter import Failure, Reading, What
from delivery.bounces.read import read
from delivery.feedback.facts import WEIGHTS, Fact, Kind, key_of
from delivery.models import Mailing, SendingAccount

OLDEST: Final = datetime.timedelta(days=60)  # older or later dates in a message are no dates of arrival


class Came(NamedTuple):
    """A message. workspace_id: whose mailbox it lay in; None: our own server took it, for any of them.

    at: when, where the message does not say; the same each time it is read. to: of its envelope, where known.
    """

    source: bytes
    workspace_id: int | None
    at: datetime.datetime
    to: tuple[str, ...] = ()


@dataclass
class Returned:
    """What one message says. leaver: the (mailing id, number) who asks to leave. is_ours: it names a message of ours."""

    what: What
    facts: list[Fact] = field(default_factory=list)
    leaver: tuple[int, int] | None = None
    is_ours: bool = False


class _Read(NamedTuple):
    came: Came
    reading: Reading
    named: addresses.Named | None


def returned(messages: Sequence[Came]) -> list[Returned]:
    """What each says, in their order. One query, and one for each test bounce; never raises for what they hold."""
    found = [
        _Read(came, reading := read(came.source), _named([*came.to, *reading.addressees], reading))
        for came in messages
    ]
    mailings = _mailings({each.named.mailing_id for each in found if each.named})
    return [_trial(each) or _returned(each, mailings) for each in found]


def _mailings(ids: Iterable[int]) -> dict[int, tuple[int, int | None]]:
    """{id: (workspace, account)}"""
    rows = Mailing.objects.filter(pk__in=list(ids)).values_list("pk", "workspace_id", "account_id")
    return {pk: (workspace_id, account_id) for pk, workspace_id, account_id in rows}


def _named(to: Sequence[str], reading: Reading) -> addresses.Named | None:
    """By the address that it was sent to, else by the Message-ID of what it returns."""
    for address in to:
        if named := addresses.read(address):
            return named
    for message_id in reading.message_ids:
        if by_message := links.read_message_token(message_id.partition("@")[0]):
            return addresses.Named(*by_message, leaves=False)
    return None


def _returned(each: _Read, mailings: dict[int, tuple[int, int | None]]) -> Returned:
    came, reading, named = each
    owner = mailings.get(named.mailing_id) if named else None
    if owner and came.workspace_id not in (None, owner[0]):
        owner = None  # another workspace's: this mailbox says nothing about it
    if owner is None:
        named = None
    result = Returned(reading.what, is_ours=named is not None)
    if named and named.leaves and reading.what in (What.OTHER, What.AUTO_REPLY):
        result.leaver = named.mailing_id, named.number
    elif reading.what in (What.BOUNCE, What.COMPLAINT):
        workspace_id = owner[0] if owner else came.workspace_id
        if workspace_id is not None:
            account_id = owner[1] if owner else None
            result.facts = list(_facts(each, named, workspace_id=workspace_id, account_id=account_id))
    return result


def _trial(each: _Read) -> Returned | None:
    """A test bounce arrived: the account's last one, seen among what names no message."""
    if each.named is None or each.named.mailing_id != addresses.TRIAL or each.reading.what is not What.BOUNCE:
        return None
    account = SendingAccount.objects.filter(pk=each.named.number).first()
    if account is None or each.came.workspace_id not in (None, account.workspace_id):
        return Returned(each.reading.what)
    at, said = arrived_at(each.came), "The test bounce arrived."
    key = key_of(at, "mail", hashlib.sha256(each.came.source).hexdigest())
    fact = Fact(account.workspace_id, Kind.SOFT_BOUNCED, at, key, said=said, account_id=account.pk)
    return Returned(each.reading.what, [fact], is_ours=True)


def _facts(
    each: _Read, named: addresses.Named | None, *, workspace_id: int, account_id: int | None
) -> Iterable[Fact]:
    """One about a recipient of ours; else what is said of each address, to be seen among the strays."""
    came, reading, _ = each
    at = arrived_at(came)
    key = hashlib.sha256(came.source).hexdigest()
    if reading.what is What.COMPLAINT:
        said = [Failure(email, Kind.SOFT_BOUNCED, "", "") for email in reading.emails] or [_UNNAMED]
    else:
        said = reading.failures
    if named:
        said = [
            min(said, key=lambda failure: WEIGHTS[failure.kind])
        ]  # of an alias: somebody is reached still
    for place, failure in enumerate(said[: 1 if named else MOST_STRAYS]):
        yield Fact(
            workspace_id,
            Kind.COMPLAINED if reading.what is What.COMPLAINT else failure.kind,
            at,
            key_of(at, "mail", key, place),
            mailing_id=named.mailing_id if named else None,
            number=named.number if named else None,
            email=failure.email,
            code=failure.status,
            said=failure.said,
            account_id=account_id,
        )


MOST_STRAYS: Final = 20  # of one message that names none of ours
_UNNAMED: Final = Failure("", Kind.SOFT_BOUNCED, "", "")


def arrived_at(came: Came) -> datetime.datetime:
    """When the last server took it, by its own clock; the same however often it is read."""
    header = came.source[:20_000].partition(b"\r\n\r\n")[0].partition(b"\n\n")[0].decode("latin-1")
    unfolded = header.replace("\r\n", "\n").replace("\n\t", " ").replace("\n ", " ")
    now = timezone.now()
    for line in unfolded.split("\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() not in ("received", "date"):
            continue
        try:
            at = email.utils.parsedate_to_datetime(value.rpartition(";")[2].strip())
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        at = at if at.tzinfo else at.replace(tzinfo=datetime.UTC)
        if now - OLDEST < at <= now + datetime.timedelta(hours=1):
            return at
    return came.at
