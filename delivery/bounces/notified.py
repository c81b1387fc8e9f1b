"""Notifications that a provider sends by mail: Amazon's SNS may be told to write what it knows, as JSON."""

import json
import re
from typing import Any

from delivery.bounces.letter import MOST_FAILURES, Failure, Letter, Understood, What, one_line
from delivery.feedback.classes import class_of, status_of


def by_notification(about: Letter) -> Understood | None:
    """None where it is none; JSON, at times within JSON."""
    start = about.text.find("{")
    if start < 0 or "notificationType" not in about.text:
        return None
    try:
        body, _ = json.JSONDecoder(strict=False).raw_decode(about.text[start:])
        body = json.loads(body["Message"], strict=False) if isinstance(body.get("Message"), str) else body
        match body.get("notificationType"):
            case "Bounce":
                rows = body["bounce"]["bouncedRecipients"][:MOST_FAILURES]
                return What.BOUNCE, [_notified(each) for each in rows], []
            case "Complaint":
                rows = body["complaint"]["complainedRecipients"][:50]
                return What.COMPLAINT, [], [str(each["emailAddress"]) for each in rows]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return What.RECEIPT, [], []


def _notified(row: dict[str, Any]) -> Failure:
    words = re.sub(r"^[\w.-]{1,30};\s*", "", str(row.get("diagnosticCode", "")))
    status = status_of(words) or status_of(str(row.get("status", "")))
    return Failure(str(row["emailAddress"])[:254], class_of(status, words), status, one_line(words))
