"""The suppression lists that each provider has, and how a page of one is read; a new provider is a function here.

Entries stay out that the provider's own words explain by something else than the person (a block, a full mailbox).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

from accounts.errors import Refusal
from contacts.models import SuppressionReason
from delivery.feedback.classes import explained
from delivery.feedback.facts import Kind
from delivery.models import SendingAccount
from delivery.transports.esp_asking import Asking

MANUAL, UNSUBSCRIBED = SuppressionReason.MANUAL, SuppressionReason.UNSUBSCRIBED
HARD_BOUNCE, COMPLAINT = SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT
_explained = lru_cache(maxsize=2_000)(explained)  # servers say the same of thousands
FIRST_YEAR: Final = 2010  # of Postmark


class Entry(NamedTuple):
    """reason: None: nothing that is about the person. said: in the words of the provider or the receiving server."""

    email: str
    reason: SuppressionReason | None
    said: str = ""


class Page(NamedTuple):
    """next: what the next page is asked by; "": this was the last."""

    entries: list[Entry]
    next: str


class Place(NamedTuple):
    """Which page is asked for. until: when the fetch was asked for, so that what comes later moves no page."""

    list: str
    page: str
    until: datetime


@dataclass(frozen=True)
class Source:
    """lists: of an account, in the order in which they are read. key: what the key must be good for, in words.

    pause_seconds: between two pages, where the provider says how often it may be asked.
    """

    lists: Callable[[SendingAccount], list[str]]
    read: Callable[[Asking, Place], Page]
    key: str
    pause_seconds: float = 0.0


class NoLists(Refusal):
    code = "no_lists"


def _bounced(status: object, said: object) -> SuppressionReason | None:
    """Of an address that the provider holds for gone; the receiving server's words may say something else."""
    kind = _explained(str(status or ""), str(said or ""))
    return HARD_BOUNCE if kind in (None, Kind.BOUNCED) else None


# --- Amazon SES: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_ListSuppressedDestinations.html --------

_SES: Final[Mapping[str, SuppressionReason]] = {"BOUNCE": HARD_BOUNCE, "COMPLAINT": COMPLAINT}


def _amazon_ses(asking: Asking, place: Place) -> Page:
    token = {"NextToken": place.page} if place.page else {}
    answer = asking.boto("list_suppressed_destinations", PageSize=1000, EndDate=place.until, **token)
    found = answer["SuppressedDestinationSummaries"]
    entries = [Entry(each["EmailAddress"], _SES.get(each["Reason"])) for each in found]
    return Page(entries, answer.get("NextToken", ""))


# --- Brevo: https://developers.brevo.com/reference/get-transac-blocked-contacts -------------------------------------

_BREVO: Final[Mapping[str, SuppressionReason]] = {
    "hardBounce": HARD_BOUNCE,
    "contactFlaggedAsSpam": COMPLAINT,
    "unsubscribedViaMA": UNSUBSCRIBED,
    "unsubscribedViaEmail": UNSUBSCRIBED,
    "unsubscribedViaApi": UNSUBSCRIBED,
    "adminBlocked": MANUAL,
}


def _brevo(asking: Asking, place: Place) -> Page:
    query = {"limit": 100, "offset": int(place.page or 0), "sort": "asc"}
    answer = asking.get("smtp/blockedContacts", query, headers={"api-key": asking.given["api_key"]})
    reasons = [(each["email"], each.get("reason") or {}) for each in answer.get("contacts") or []]
    entries = [
        Entry(email, _BREVO.get(reason.get("code", "")), reason.get("message") or "")
        for email, reason in reasons
    ]
    return Page(entries, _next_offset(query, entries))


# --- Mailgun: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/bounces ---------------------


def _lists_of_mailgun(account: SendingAccount) -> list[str]:
    """Each domain has its own. Raises: NoLists: the account names none."""
    own = account.settings.get("sender_domain", "")
    domains = [own] if own else account.sender_domains
    if not domains:
        raise NoLists("Mailgun keeps its lists by domain: fill in the sending domain, then fetch.")
    return [f"{domain}/{name}" for domain in domains for name in ("complaints", "unsubscribes", "bounces")]


def _mailgun(asking: Asking, place: Place) -> Page:
    """Of the address that it gives for the next page the query alone counts, as it might lead anywhere."""
    query = parse_qs(place.page) if place.page else {"limit": ["1000"]}
    answer = asking.get(quote(place.list), query, auth=("api", asking.given["api_key"]))
    name = place.list.rpartition("/")[2]
    entries = [Entry(each["address"], *_of_mailgun(name, each)) for each in answer["items"]]
    return Page(entries, urlsplit(answer["paging"]["next"]).query if entries else "")


def _of_mailgun(name: str, each: dict[str, Any]) -> tuple[SuppressionReason | None, str]:
    match name:
        case "complaints":
            return COMPLAINT, ""
        case "unsubscribes":  # from some tags alone: they want the rest
            return (UNSUBSCRIBED if "*" in (each.get("tags") or ["*"]) else None), ""
    return _bounced(each.get("code"), each.get("error")), each.get("error") or ""


# --- Postmark: https://postmarkapp.com/developer/api/suppressions-api -----------------------------------------------

_POSTMARK: Final[Mapping[str, SuppressionReason]] = {"HardBounce": HARD_BOUNCE, "SpamComplaint": COMPLAINT}


def _postmark(asking: Asking, place: Place) -> Page:
    """It has no pages: a year each, so that no answer holds all."""
    year = int(place.page or FIRST_YEAR)
    answer = asking.get(
        f"message-streams/{quote(place.list, safe='')}/suppressions/dump",
        {"fromdate": f"{year}-01-01", "todate": f"{year}-12-31"},
        headers={"X-Postmark-Server-Token": asking.given["server_token"], "Accept": "application/json"},
    )
    entries = [Entry(each["EmailAddress"], _of_postmark(each)) for each in answer["Suppressions"]]
    return Page(entries, str(year + 1) if year <= place.until.year else "")  # its days begin elsewhere


def _of_postmark(each: dict[str, Any]) -> SuppressionReason:
    by_themselves = UNSUBSCRIBED if each.get("Origin") == "Recipient" else MANUAL
    return _POSTMARK.get(each["SuppressionReason"], by_themselves)


# --- SendGrid: https://www.twilio.com/docs/sendgrid/api-reference/bounces-api ---------------------------------------

# Blocks are about us and stay there, as do groups, which are about some mail alone.
_SENDGRID: Final[Mapping[str, SuppressionReason]] = {
    "spam_reports": COMPLAINT,
    "unsubscribes": UNSUBSCRIBED,
    "bounces": HARD_BOUNCE,
    "invalid_emails": HARD_BOUNCE,
}


def _sendgrid(asking: Asking, place: Place) -> Page:
    query = {"limit": 500, "offset": int(place.page or 0), "end_time": int(place.until.timestamp())}
    headers = {"Authorization": f"Bearer {asking.given['api_key']}", "Accept": "application/json"}
    answer = asking.get(f"suppression/{place.list}", query, headers=headers)
    if not isinstance(answer, list):
        raise TypeError(answer)
    entries = [Entry(each["email"], *_of_sendgrid(place.list, each)) for each in answer]
    return Page(entries, _next_offset(query, entries))


def _of_sendgrid(name: str, each: dict[str, Any]) -> tuple[SuppressionReason | None, str]:
    reason, said = _SENDGRID[name], each.get("reason") or ""
    return (_bounced(each.get("status"), said) if reason is HARD_BOUNCE else reason), said


# --- SparkPost: https://developers.sparkpost.com/api/suppression-list/ ----------------------------------------------

_SPARKPOST: Final[Mapping[str, SuppressionReason]] = {
    "Spam Complaint": COMPLAINT,
    "List Unsubscribe": UNSUBSCRIBED,
    "Unsubscribe Link": UNSUBSCRIBED,
    "Manually Added": MANUAL,
    "Compliance": MANUAL,
}


def _sparkpost(asking: Asking, place: Place) -> Page:
    """What was refused of transactional mail alone is not asked for."""
    headers = {"Authorization": asking.given["api_key"], "Accept": "application/json"}
    if asking.given.get("subaccount"):
        headers["X-MSYS-SUBACCOUNT"] = str(asking.given["subaccount"])
    query = {"cursor": place.page or "initial", "per_page": 1000, "types": "non_transactional"}
    answer = asking.get("suppression-list", query, headers=headers)
    entries = [
        Entry(each["recipient"], _of_sparkpost(each), each.get("description") or "")
        for each in answer["results"]
    ]
    following = [each["href"] for each in answer.get("links") or [] if each.get("rel") == "next"]
    cursors = parse_qs(urlsplit(following[0]).query).get("cursor", [""]) if following and entries else [""]
    return Page(entries, cursors[0])


def _of_sparkpost(each: dict[str, Any]) -> SuppressionReason | None:
    source = each.get("source", "")
    return _bounced("", each.get("description")) if source == "Bounce Rule" else _SPARKPOST.get(source)


def _next_offset(query: dict[str, Any], entries: list[Entry]) -> str:
    return str(query["offset"] + len(entries)) if len(entries) == query["limit"] else ""


SOURCES: Final[Mapping[str, Source]] = {
    "amazon_ses": Source(
        lambda _: ["suppressed destinations"],
        _amazon_ses,
        "The access key needs ses:ListSuppressedDestinations.",
        pause_seconds=1.0,  # but for sending, most of the API may be called once a second
    ),
    "brevo": Source(lambda _: ["blocked contacts"], _brevo, "The API key of the account reads them."),
    "mailgun": Source(
        _lists_of_mailgun, _mailgun, "A domain’s sending key cannot read them; an API key of the account can."
    ),
    "postmark": Source(
        lambda account: [account.settings.get("message_stream") or "outbound"],
        _postmark,
        "The server’s token reads those of the account’s message stream.",
    ),
    "sendgrid": Source(
        lambda _: list(_SENDGRID), _sendgrid, "The API key needs permission to read Suppressions, too."
    ),
    "sparkpost": Source(
        lambda _: ["suppression list"], _sparkpost, "The API key needs Suppression Lists: Read, too."
    ),
}
