"""Calls from the stream read into facts: anymail's parsers, then what its events mean for a recipient of ours."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

from anymail.signals import EventType
from django.utils.dateparse import parse_datetime

from delivery.feedback.classes import reply_of, status_of
from delivery.feedback.facts import Fact, Kind, key_of
from delivery.feedback.stream import Entry
from delivery.hooks import tracked
from delivery.hooks.checks import view_of
from delivery.hooks.entries import Call, request_of, unpacked
from delivery.hooks.setup import SETUPS
from delivery.hooks.verdicts import Failure, verdict
from delivery.models import SendingAccount
from delivery.tracking.machines import why_machine
from delivery.transports import names

FAILURES: Final = {EventType.BOUNCED, EventType.REJECTED, EventType.FAILED, EventType.DEFERRED}
FAILED: Final = (Kind.BOUNCED, Kind.SOFT_BOUNCED, Kind.BLOCKED)
KINDS: Final = {
    EventType.DELIVERED: Kind.DELIVERED,
    EventType.COMPLAINED: Kind.COMPLAINED,
    EventType.UNSUBSCRIBED: Kind.UNSUBSCRIBED,
    EventType.OPENED: Kind.OPENED,
    EventType.CLICKED: Kind.CLICKED,
}
# Times of events outside of these, seen from when the call came, are nobody's: that of the call is shown.
LONGEST_AGO, FARTHEST_AHEAD = timedelta(days=366), timedelta(days=1)
WHY_MACHINE: Final = "Said by the provider"
UNSAID_URL: Final = (
    "?"  # a click without an address is that of a hidden link: see delivery.tracking.suspicion
)
SHOWN: Final = 500  # characters
log = logging.getLogger(__name__)


class _Owner(NamedTuple):
    workspace_id: int
    provider: str


def read(entries: Sequence[Entry]) -> list[list[Fact]]:
    """The facts of each entry; none where its account is deleted, or nothing can be read of it. Two queries."""
    calls = [_unpacked(entry) for entry in entries]
    accounts = SendingAccount.objects.filter(pk__in={call.account_id for call in calls if call})
    found = accounts.values_list("pk", "workspace_id", "provider")
    owners = {pk: _Owner(workspace_id, provider) for pk, workspace_id, provider in found}
    facts = [_facts(call, owners.get(call.account_id)) if call else [] for call in calls]
    return tracked.without_ours(facts)


def _unpacked(entry: Entry) -> Call | None:
    try:
        return unpacked(entry.data)
    except (TypeError, ValueError):
        log.warning("hook.unreadable entry=%s", entry.id)
        return None


def _facts(call: Call, owner: _Owner | None) -> list[Fact]:
    if owner is None or owner.provider not in SETUPS:
        return []
    facts, unread = list[Fact](), list[str]()
    for event in _events(owner.provider, call, unread):
        try:
            fact = _fact(event, call, owner)
        except Exception as error:  # of many events in a call, one is not as documented
            unread.append(type(error).__name__)
            continue
        if fact:
            facts.append(fact)
    if unread:  # without the errors' words, which may be of what was sent
        log.warning(
            "hook.unread provider=%s account=%s events=%s error=%s",
            owner.provider,
            call.account_id,
            len(unread),
            unread[0],
        )
    return facts


def _events(provider: str, call: Call, unread: list[str]) -> Iterator[Any]:
    """Anymail's events of a call. Where it stumbles over one of many, each is read alone; unread: its errors' names."""
    try:
        yield from _parsed(provider, call, call.body)
    except Exception as error:
        parts = list(_parts(provider, call))
        if len(parts) < 2:
            unread.append(type(error).__name__)
            return
        for part in parts:
            try:
                yield from _parsed(provider, call, part)
            except Exception as error_of_part:
                unread.append(type(error_of_part).__name__)


def _parsed(provider: str, call: Call, body: bytes) -> list[Any]:
    return copy(_parser(provider)).parse_events(request_of(call, body))


@cache
def _parser(provider: str) -> Any:
    """Anymail's view as a parser, which no proof is looked at by; used by copies, since one remembers what it read."""
    setup = SETUPS[provider]
    if setup.proof in ("key", "api_key") and provider not in ("resend", "sendgrid"):
        return view_of(provider, **{setup.argument: "-"})
    return view_of(provider)


def _parts(provider: str, call: Call) -> Iterator[bytes]:
    """The call as calls of one event each, where the provider puts many into one."""
    try:
        if provider == "mandrill":
            for each in json.loads(dict(parse_qsl(call.body.decode()))["mandrill_events"]):
                yield urlencode({"mandrill_events": json.dumps([each])}).encode()
            return
        told = json.loads(call.body)
        if isinstance(told, list):
            yield from (json.dumps([each]).encode() for each in told)
        elif isinstance(told.get("events"), list):
            yield from (json.dumps({"events": [each]}).encode() for each in told["events"])
        elif isinstance(told.get("events_by_user"), list):
            for user in told["events_by_user"]:
                for each in user["events"]:
                    yield json.dumps({"events_by_user": [{"events": [each]}]}).encode()
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return


# --- One event ----------------------------------------------------------------------------------------------


def _fact(event: Any, call: Call, owner: _Owner) -> Fact | None:
    """None where an event says nothing that is kept: queued, sent, tried again, of a kind that is not known."""
    provider, raw = owner.provider, event.esp_event if isinstance(event.esp_event, Mapping) else {}
    kind, failure = _kind(provider, event, raw)
    if kind is None:
        return None
    at, stated = _times(provider, event, raw, call)
    mailing_id, number = _name(event)
    why_machine = _why_machine(kind, event, raw) if kind in tracked.KINDS else ""
    email = str(event.recipient or "").strip()
    told = failure if kind in FAILED else None
    return Fact(
        workspace_id=owner.workspace_id,
        kind=kind,
        at=at,
        key=key_of(stated, provider, *_identity(provider, event, raw), kind, email.lower()),
        mailing_id=mailing_id,
        number=number,
        email=email,
        is_machine=bool(why_machine),
        why_machine=why_machine,
        url=str(event.click_url or UNSAID_URL) if kind is Kind.CLICKED else "",
        code=_code(told) if told else "",
        said=told.said[:SHOWN] if told else "",
        account_id=call.account_id,
        message_id=_message_id(event) if number is None and kind not in tracked.KINDS else "",
    )


def _kind(provider: str, event: Any, raw: Mapping[str, Any]) -> tuple[Kind | None, Failure | None]:
    """What it is, and what the server said where the message was not delivered."""
    known = _MISSED.get((provider, _word(raw)), event.event_type)
    if provider in _WISHES and known == EventType.UNSUBSCRIBED:
        return (Kind.UNSUBSCRIBED if _WISHES[provider](raw) else None), None
    if provider == "amazon_ses" and known == EventType.COMPLAINED and event.description == "not-spam":
        return None, None  # the reader has taken it out of the spam folder
    if known == EventType.DEFERRED and provider not in ("mailtrap", "unisender_go"):
        return None, None  # those two alone say so of what they have given up, too
    if known not in FAILURES:
        return KINDS.get(known), None
    said = _said(event, raw)
    failure = Failure(str(known), raw, said, _status(raw) or reply_of(said))
    return verdict(provider, failure), failure


def _code(failure: Failure) -> str:
    return status_of(failure.status) or status_of(failure.said) or failure.status


# What anymail does not know of.
_MISSED: Final = {
    ("brevo", "unsubscribed"): EventType.UNSUBSCRIBED,
    ("amazon_ses", "Subscription"): EventType.UNSUBSCRIBED,
    ("postal", "MessageLoaded"): EventType.OPENED,
    ("postal", "MessageHeld"): EventType.REJECTED,
    ("resend", "email.failed"): EventType.FAILED,
    ("resend", "email.suppressed"): EventType.REJECTED,
    # Each is one kind of thing, whatever anymail makes of it.
    ("postmark", "SubscriptionChange"): EventType.UNSUBSCRIBED,
    ("postmark", "Bounce"): EventType.BOUNCED,
}


def _word(raw: Mapping[str, Any]) -> str:
    """The provider's own name of what happened."""
    return str(raw.get("event") or raw.get("eventType") or raw.get("type") or raw.get("RecordType") or "")


def _leaves_amazon(raw: Mapping[str, Any]) -> bool:
    return _at(raw, "subscription", "newTopicPreferences", "unsubscribeAll") is True


def _leaves_postmark(raw: Mapping[str, Any]) -> bool:
    """Not by a bounce or a complaint, which it tells of apart, nor by the customer's own hand."""
    wish = raw.get("Origin"), raw.get("SuppressionReason"), raw.get("SuppressSending")
    return wish == ("Recipient", "ManualSuppression", True)


# Who says by one event that somebody leaves, comes back, or is kept away for other reasons.
_WISHES: Final[dict[str, Callable[[Mapping[str, Any]], bool]]] = {
    "amazon_ses": _leaves_amazon,
    "postmark": _leaves_postmark,
}


def _at(raw: Any, *path: str | int) -> Any:
    """What stands there in dicts and lists; None where nothing does."""
    for step in path:
        try:
            raw = raw[step]
        except (LookupError, TypeError):
            return None
    return raw


# Where providers put the server's words, beside anymail's mta_response; the first that is there.
_SAID: Final[tuple[tuple[str | int, ...], ...]] = (
    ("reason",),
    ("comment",),
    ("data", "morph", "reason"),
    ("event-data", "delivery-status", "message"),
    ("event-data", "delivery-status", "description"),
    ("event-data", "reject", "reason"),
    ("reject", "reason"),
    ("reject", "detail"),
    ("msg", "reject", "reason"),
    ("data", "bounce", "message"),
    ("error",),
    ("response",),
)


def _said(event: Any, raw: Mapping[str, Any]) -> str:
    said = event.mta_response or next(
        (found for path in _SAID if (found := _at(raw, *path))), event.description
    )
    return str(said or "").removeprefix("smtp;").strip()[: 4 * SHOWN]


_STATUS: Final[tuple[tuple[str | int, ...], ...]] = (
    ("status",),
    ("bounce", "bouncedRecipients", 0, "status"),
    ("event-data", "delivery-status", "enhanced-code"),
    ("event-data", "delivery-status", "code"),
    ("code",),
    ("response_code",),
)


def _status(raw: Mapping[str, Any]) -> str:
    """A code, "5.1.1" or "550", where the provider has a field of its own for it and it says something."""
    for path in _STATUS:
        text = str(_at(raw, *path) or "")
        if found := status_of(text) or reply_of(text):
            return found
    return ""


_ADDRESSES: Final[tuple[tuple[str | int, ...], ...]] = (
    ("ip",),
    ("ip_address",),
    ("event-data", "ip"),
    ("open", "ipAddress"),
    ("click", "ipAddress"),
    ("data", "click", "ipAddress"),
    ("Geo", "IP"),
)


def _why_machine(kind: Kind, event: Any, raw: Mapping[str, Any]) -> str:
    """The provider's own verdict, else ours where it says who asked."""
    if raw.get("sg_machine_open") is True or "proxy_open" in str(raw.get("event")):
        return WHY_MACHINE
    if not event.user_agent:
        return ""
    ip = next((found for path in _ADDRESSES if (found := _at(raw, *path))), "")
    return why_machine(kind, agent=str(event.user_agent), ip=str(ip), seconds=None)


def _name(event: Any) -> tuple[int | None, int | None]:
    """(mailing, recipient's number) as our own name says, else the mailing of its tag, in which the address is
    looked for."""
    metadata = event.metadata if isinstance(event.metadata, Mapping) else {}
    if found := names.read_name(metadata.get(names.KEY)):
        return found
    tags = (
        event.tags if isinstance(event.tags, Iterable) and not isinstance(event.tags, str) else [event.tags]
    )
    return next((mailing_id for tag in tags if (mailing_id := names.read_tag(tag))), None), None


def _message_id(event: Any) -> str:
    """The provider's id of the message, as it stands in the ledger but for angle brackets.

    No open or click is matched by it: whose mailing it is must be known before the ledger is asked, see `tracked`.
    """
    return str(event.message_id or "").strip().strip("<>")


def _times(provider: str, event: Any, raw: Mapping[str, Any], call: Call) -> tuple[datetime, datetime]:
    """When it happened, or when the call came where that is not said or cannot be; and the time for its key.

    Of what is too old the key keeps the time that is said, so that it is the same however late the call comes again.
    """
    came = datetime.fromtimestamp(call.at, UTC)
    stated = _own_time(raw) if provider == "amazon_ses" else event.timestamp
    if not isinstance(stated, datetime):
        return came, came
    stated = stated if stated.tzinfo else stated.replace(tzinfo=UTC)
    if stated >= came + FARTHEST_AHEAD:
        return came, came
    return (stated if stated > came - LONGEST_AGO else came), stated


def _own_time(raw: Mapping[str, Any]) -> datetime | None:
    """Of an event of Amazon's, which anymail takes from the notification that carries it."""
    word = _word(raw) or str(raw.get("notificationType") or "")
    text = _at(raw, word[:1].lower() + word[1:], "timestamp") or _at(raw, "mail", "timestamp")
    try:
        return parse_datetime(str(text))
    except ValueError:
        return None


def _identity(provider: str, event: Any, raw: Mapping[str, Any]) -> tuple[object, ...]:
    """What makes the event one, however often and in however many calls it comes; its time stands in the key, too."""
    match provider:
        case "mailgun":  # anymail takes the call's token, which a second try need not keep
            return (_at(raw, "event-data", "id") or event.event_id,)
        case "amazon_ses":  # the notification's id is another one for each topic
            word = _word(raw) or raw.get("notificationType")
            return event.message_id, word, _at(raw, str(word).lower(), "feedbackId")
    if event.event_id:
        return (event.event_id,)
    return event.message_id, _word(raw), event.click_url
