"""What an ESP says of each message of one call, where its answer lists them: in their order, in its own words."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from delivery.transports.base import Fate, Letter, Outcome
from delivery.transports.esp_answers import QUOTA_SECONDS, outcomes_of_status, what_stops, words_of
from delivery.transports.esp_verdicts import verdict_of

# SES's statuses of one entry that are not the recipient's fault; any other one is.
SES_ACCOUNT: Final = {
    "CONFIGURATION_SET_NOT_FOUND",
    "ACCOUNT_SUSPENDED",
    "ACCOUNT_SENDING_PAUSED",
    "CONFIGURATION_SET_SENDING_PAUSED",
    "INVALID_SENDING_POOL_NAME",
}
SES_MOMENT: Final = {"ACCOUNT_THROTTLED", "ACCOUNT_DAILY_QUOTA_EXCEEDED", "TRANSIENT_FAILURE"}


class UnreadableError(ValueError):
    """It is not as documented: what was taken is not known."""


def outcomes_of(
    provider: str, response: Any, letters: Sequence[Letter], read_status: Callable[[], Any]
) -> list[Outcome]:
    """One for each letter. response: of a call that was not refused as one; read_status: anymail's own reading.

    Raises: UnreadableError, and what anymail raises.
    """
    listed = LISTS.get(provider)
    if listed is None:
        return outcomes_of_status(provider, read_status(), [letter.to for letter in letters])
    items = listed(response if isinstance(response, dict) else response.json())
    if len(items) != len(letters):
        raise UnreadableError(f"{len(items)} answers to {len(letters)} messages")
    return [_outcome(provider, *item) for item in items]


Item = tuple[str | None, str, Any]  # the message's id, None where it was not taken; a code; what was said


def _outcome(provider: str, message_id: str | None, code: str, said: Any) -> Outcome:
    if message_id is not None:
        return Outcome(Fate.ACCEPTED, provider_id=str(message_id)[:200])
    words = words_of(said)
    stops = Fate.ACCOUNT_STOPPED if code in SES_ACCOUNT else what_stops(provider, [code, said])
    if stops:
        return Outcome(stops, code, words)
    if code in SES_MOMENT:
        wait = QUOTA_SECONDS if "QUOTA" in code else None
        return Outcome(Fate.DEFERRED, code, words, retry_after=wait, throttled=code != "TRANSIENT_FAILURE")
    return Outcome(Fate.REJECTED, code, words, verdict=verdict_of(provider, json.dumps(said)))


def _postmark(data: Any) -> list[Item]:
    # A code is missing where "delivery may be delayed".
    return [
        (each.get("MessageID"), "", each)
        if not each.get("ErrorCode")
        else (None, str(each["ErrorCode"]), each)
        for each in data
    ]


def _mailjet(data: Any) -> list[Item]:
    return [
        (str(each["To"][0]["MessageID"]), "", each)
        if each["Status"] == "success"
        else (None, str(each["Errors"][0].get("ErrorCode", "")), each)
        for each in data["Messages"]
    ]


def _mailtrap(data: Any) -> list[Item]:
    return [
        (each["message_ids"][0], "", each) if each["success"] else (None, "refused", each)
        for each in data["responses"]
    ]


def _amazon_ses(data: Any) -> list[Item]:
    return [
        (each["MessageId"], "", each)
        if each["Status"] == "SUCCESS"
        else (None, each["Status"], {"message": each.get("Error", each["Status"])})
        for each in data["BulkEmailEntryResults"]
    ]


def _brevo(data: Any) -> list[Item]:
    return [(message_id, "", None) for message_id in data["messageIds"]]


def _resend(data: Any) -> list[Item]:
    return [(each["id"], "", None) for each in data["data"]]


LISTS: Final[dict[str, Callable[[Any], list[Item]]]] = {
    "amazon_ses": _amazon_ses,
    "brevo": _brevo,
    "mailjet": _mailjet,
    "mailtrap": _mailtrap,
    "postmark": _postmark,
    "resend": _resend,
}
