"""RFC 3464: what a delivery status notification says of each recipient, field by field."""

import re
from typing import Final

from delivery.bounces import wording
from delivery.bounces.letter import (
    MOST_FAILURES,
    Failure,
    Letter,
    Understood,
    What,
    delayed,
    emails_in,
    one_line,
)
from delivery.feedback.classes import class_of, explained, reply_of, status_of

_FIELD: Final = re.compile(r"^([A-Za-z][A-Za-z-]{2,40})[ \t]*:[ \t]*(.*(?:\n[ \t]+\S.*)*)", re.MULTILINE)


def by_fields(about: Letter) -> Understood | None:
    """The fields of each recipient; some write them into a text."""
    reports = about.reports("message/delivery-status") or about.reports("message/global-delivery-status")
    return from_fields(about, "\n\n".join(reports) if reports else about.text)


def from_fields(about: Letter, source: str) -> Understood | None:
    rows = [
        row
        for row in map(read_fields, re.split(r"\n[ \t]*\n", source))
        if "final-recipient" in row or "original-recipient" in row
    ]
    failed, late, arrived = [], [], 0
    for row in rows[:MOST_FAILURES]:
        match _action(row):
            case "failed":
                failed.append(row)
            case "delayed":
                late.append(row)
            case _:
                arrived += 1
    chosen = failed or late
    texts = {said.email.lower(): said.words for said in wording.failures(about.text)} if chosen else {}
    failures = [_failure(about, row, texts, is_alone=len(chosen) == 1) for row in chosen]
    if failed:
        return What.BOUNCE, failures, []
    if late:
        return delayed(failures)
    return (What.RECEIPT, [], []) if arrived else None


def read_fields(block: str) -> dict[str, str]:
    """{name in lower case: value in one line}; the first of each."""
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(block[:20_000]):
        fields.setdefault(name.lower(), " ".join(value.split()))
    return fields


def _action(row: dict[str, str]) -> str:
    action = (row.get("action", "").lower().split() or [""])[0].strip(";.")
    status = row.get("status", "")[:1]
    if action in ("failed", "failure", "expired", "undeliverable"):
        return "failed"
    if action in ("delayed", "deferred", "transient-failure"):
        return "delayed"
    if action in ("delivered", "relayed", "expanded"):
        return "arrived"
    return {"5": "failed", "4": "delayed", "2": "arrived"}.get(status, "")


def _failure(about: Letter, row: dict[str, str], texts: dict[str, str], *, is_alone: bool) -> Failure:
    """The reporting system's status is often its own guess: the refusing server's in the diagnostic outweighs it."""
    email = _recipient(about, row, is_alone=is_alone)
    given = row.get("status", "")
    words = diagnostic = re.sub(r"^[\w.-]{1,30};\s*", "", row.get("diagnostic-code", ""))
    if explained("", diagnostic) is None:
        comment = given.partition("(")[2].rstrip(")")
        more = (
            comment
            if explained("", comment)
            else texts.get(email.lower()) or (about.text if is_alone else "")
        )
        words = f"{diagnostic} {more}".strip() if reply_of(diagnostic) else more or diagnostic
    status = (status_of(diagnostic) if reply_of(diagnostic) else "") or status_of(given) or status_of(words)
    status = status or (re.findall(r"[245]\.\d{1,3}\.\d{1,3}", given) or [""])[0]
    kind = class_of(f"{reply_of(diagnostic)} {status}".strip(), words)
    return Failure(email, kind, status, one_line(words))


def _recipient(about: Letter, row: dict[str, str], *, is_alone: bool) -> str:
    """Final-Recipient, unless it names a pipe, a user without a domain or an address of another system."""
    for name in ("final-recipient", "original-recipient", "x-actual-recipient"):
        found = emails_in(row.get(name, ""))
        if found and "IMCEA" not in found[0]:
            return found[0]
    others = [said.email for said in wording.failures(about.text)] or about.original_to()
    return others[0] if is_alone and others else ""
