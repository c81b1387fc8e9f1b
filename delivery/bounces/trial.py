"""A test bounce: mailed through an account to its own return path, to see that bounces find the way to Volley."""

from email.utils import formatdate, make_msgid
from typing import Final

from accounts.models import User
from delivery.bounces import addresses
from delivery.models import SendingAccount
from delivery.transports import connect
from delivery.transports.base import CannotConnect, Fate, Message

BOUNCE: Final = """\
From: <{sender}>
To: <{to}>
Subject: Test of the return path
Date: {date}
Message-ID: {message_id}
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=_volley_report"

--=_volley_report
Content-Type: text/plain; charset=us-ascii

Volley sent this to see whether bounces find the way back.

--=_volley_report
Content-Type: message/delivery-status

Reporting-MTA: dns; volley.invalid

Final-Recipient: rfc822; nobody@volley.invalid
Action: failed
Status: 5.0.0
Diagnostic-Code: smtp; 550 This is a test

--=_volley_report--
"""


def send(account: SendingAccount, *, by: User) -> str:
    """Hand it over; talks to the server, for up to 70 seconds.

    Returns: "" when it was accepted, else what is wrong, in words.
    """
    paths = addresses.paths(addresses.return_path_of(account))
    if paths is None:
        return "Give the account a return path first."
    sender = account.settings.get("test_from") or by.email
    to = paths.bounces_of(addresses.TRIAL, account.pk)
    try:
        connection = connect(account)
    except CannotConnect as error:
        return error.outcome.server_said or "The connection could not be made."
    try:
        outcome = connection.send(Message(sender, to, [_bounce(sender, to)]))
    finally:
        connection.close()
    return "" if outcome.fate is Fate.ACCEPTED else f"The test bounce was refused: {outcome.server_said}"


def _bounce(sender: str, to: str) -> bytes:
    message_id = make_msgid(domain="volley.invalid")
    text = BOUNCE.format(sender=sender, to=to, date=formatdate(), message_id=message_id)
    return text.replace("\n", "\r\n").encode()
