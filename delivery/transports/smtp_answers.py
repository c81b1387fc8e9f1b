"""What an SMTP reply means: one table from codes and words to our fates, the words kept as they are.

RFC 5321 §4.2 (codes), RFC 3463 and 2034 (enhanced codes at the start of the text).
"""

import re
from typing import Literal, NamedTuple

from delivery.feedback.facts import Kind
from delivery.transports.base import IN_ITS_WORDS, Fate, Outcome, Verdict

Command = Literal["MAIL", "RCPT", "DATA", "END"]

# Whichever command they answer: sign-in is wanted or refused.
ACCOUNT_CODES = {530, 534, 535, 538}
# The receiver does not know the server as what it says it is; sending on would only do harm. Gmail, Microsoft, Yahoo:
# 5.7.25 no PTR, .29 no TLS.
ACCOUNT_ENHANCED = {"5.7.8", "5.7.9", "5.7.25", "5.7.29"}
# The same of the sender's domain: .26/.27 neither SPF nor DKIM, .509 DMARC, .515 bulk sender not authenticated.
# Exchange: .60 the account may not send as this sender, 5.2.252 the same.
SENDER_ENHANCED = {"5.7.26", "5.7.27", "5.7.509", "5.7.515", "5.7.60", "5.2.252"}
# To any command, since Postfix says it of MAIL's sender when it answers RCPT, and submission services that look at
# From do so after the message: "553 5.7.1 <…>: Sender address rejected: not owned by user …"; "550 The from address
# does not match a verified Sender Identity."; "554 Message rejected: Email address is not verified. The following
# identities failed the check …"; "550 5.7.1 Unconfigured Sending Domain <…>"; "550-From header sender domain not verified."
SENDER_WORDS = re.compile(
    r"sender address rejected|not owned by (auth )?user|domain (is )?not verified|verified sender identity"
    r"|identities failed the check|unconfigured sending domain|sendasdenied"
    r"|(permissions?|permitted|allowed|authori[sz]ed) to send (as|from)",
    re.IGNORECASE,
)
# To MAIL, which names nothing but the sender (RFC 3463 §3.2: 5.1.7, 5.1.8 its address).
SENDER_NAMED = re.compile(
    r"5\.1\.[78]\b|\bsender\b(?! (ip|host|limit|quota|rate))|from address", re.IGNORECASE
)
# "554 5.7.1 <a@b.example>: Relay access denied", "550 relay not permitted": the server is not ours to send by.
ACCOUNT_WORDS = re.compile(
    r"relay(ing)?( access)? (denied|prohibited|not (permitted|allowed))|unable to relay|not permitted to relay"
    r"|(authentication|authorization) (is )?required|must (authenticate|be authenticated)"
    r"|(sending|daily|hourly|message) (quota|limit) exceeded for (this )?account|account (is )?(suspended|disabled)",
    re.IGNORECASE,
)
# To MAIL FROM: what is about this message's size or contents; any other 5xx is about the sender or the account.
MESSAGE_CODES = {552, 554}
# Too much, too fast: the server's own limits (RFC 3463 §3.8: 4.7.x policy; 4.3.2, 4.4.5 busy, 4.5.3 too many).
THROTTLE_ENHANCED = re.compile(r"4\.7\.\d+|4\.3\.2|4\.4\.5|4\.5\.3|4\.2\.1")
THROTTLE_WORDS = re.compile(
    r"too (many|much|fast)|rate.?limit|throttl|try again later|exceeded|slow down|deferred due to",
    re.IGNORECASE,
)
# Nothing is wrong with our pace: Postgrey and its kin put off a stranger's first try, and many servers take so
# many messages on one connection and no more.
NOT_THROTTLE_WORDS = re.compile(
    r"gr[ea]y.?list|(on|per|for|in) (this|the|a|one)?\s*(connection|session)", re.IGNORECASE
)


ENHANCED = re.compile(r"(?=[\d.]{5,8}(?: |$))\d+\.\d+\.\d+")


class Reply(NamedTuple):
    """text: all lines, joined by blanks."""

    code: int
    text: str

    @property
    def is_good(self) -> bool:
        return 200 <= self.code < 400

    @property
    def enhanced(self) -> str:
        """The enhanced status code that the text begins with, or ""."""
        found = ENHANCED.match(self.text)
        return found[0] if found else ""


def outcome_of(reply: Reply, command: Command) -> Outcome:
    """The fate of the message whose command was answered so."""
    code = f"{reply.code} {reply.enhanced}".strip()
    said = f"{reply.code} {reply.text}".strip()
    if reply.is_good:
        return Outcome(Fate.ACCEPTED, code, said)
    if _concerns_sender(reply, command):
        return Outcome(Fate.SENDER_REFUSED, code, said)
    if _concerns_account(reply, command):
        return Outcome(Fate.ACCOUNT_STOPPED, code, said)
    throttled = reply.code < 500 and _is_throttle(reply)
    # Our pace, or our envelope: the recipient was not named yet.
    verdict: Verdict = Kind.BLOCKED if throttled or command == "MAIL" else IN_ITS_WORDS
    fate = Fate.DEFERRED if reply.code < 500 else Fate.REJECTED
    return Outcome(fate, code, said, throttled=throttled, verdict=verdict)


def _concerns_sender(reply: Reply, command: Command) -> bool:
    if reply.code < 500:
        return False
    if reply.enhanced in SENDER_ENHANCED or SENDER_WORDS.search(reply.text):
        return True
    is_open = reply.code not in MESSAGE_CODES | ACCOUNT_CODES and not ACCOUNT_WORDS.search(reply.text)
    return command == "MAIL" and is_open and bool(SENDER_NAMED.search(reply.text))


def _concerns_account(reply: Reply, command: Command) -> bool:
    if reply.code in ACCOUNT_CODES:
        return True
    if reply.code < 500:
        return False
    if reply.enhanced in ACCOUNT_ENHANCED or ACCOUNT_WORDS.search(reply.text):
        return True
    return command == "MAIL" and reply.code not in MESSAGE_CODES


def _is_throttle(reply: Reply) -> bool:
    if NOT_THROTTLE_WORDS.search(reply.text):
        return False
    busy = bool(THROTTLE_ENHANCED.fullmatch(reply.enhanced)) or bool(THROTTLE_WORDS.search(reply.text))
    return reply.code == 421 or (reply.code in (450, 451, 452, 454) and busy)
