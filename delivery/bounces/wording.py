"""How mail systems say in plain words that a message did not arrive, to whom and why; and how others resemble them.

Rules for a manner of speaking, none for a single system.
"""

import html
import re
from typing import Final, NamedTuple

from delivery.bounces.parts import Part
from delivery.feedback.classes import explained, reply_of, status_of

LONGEST: Final = 60_000  # characters of a text that are read
MOST_LINES: Final = 1_500
MOST_WORDS: Final = 1_500  # characters about one address

EMAIL: Final = (
    r"(?<![\w.+=/@-])(?:[^\s<>()\[\]:;,\"'`|@\\/]{1,64}|\"[^\"\s@]{1,62}\")"
    r"@[^\W_](?:[\w.-]{0,250}[^\W_])?"
)


class Said(NamedTuple):
    """An address that was not reached, and what is said of it."""

    email: str
    words: str


def _any(phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(phrases.strip().splitlines()), re.IGNORECASE)


# Where a mail system's own words end and the message begins that it returns.
_RETURNED: Final = re.compile(
    r"""^[ \t|>*=_-]*(?:
    (?:this[ ]is[ ]a[ ]copy[ ]of|below[ ]this[ ]line[ ]is|enclosed[ ]is|included[ ]is|below[ ]is|a[ ]copy[ ]of)\b.{0,30}
      \b(?:copy|message|header)
    |(?:the[ ]|your[ ])?(?:header[ ]of[ ]the[ ])?(?:original|unsent|returned|bounced|undelivered)[ ]?
      (?:message|mail|e-?mail|headers?)\b(?![ ](?:was|is|has|could|id\b))
    |message[ ](?:headers?|text|body|source)[ ]follows?
    |body[ ]of[ ]message[ ]follows|original[ ]mail[ ]info
    |(?:received|return-path|delivered-to|dkim-signature|mime-version|message-id):[ \t]
    |x-(?!actual|postfix|display|failed)[\w-]+:[ \t]
    )""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_DAEMONS: Final = _any(r"""
mailer[-_. ]?daemon
mail[-_.]?daemon
maildelivery
\bpostmaster\b
mail[-_ ]?deliver\w{0,9}
delivery[ -](sub)?system
mdaemon
system administrator
\bndr\b
mail (administrator|system)
mailsystem
bounce[-_]?handler
""")
_SUBJECTS: Final = _any(r"""
returned? (mail|message|to sender)
undeliver(able|ed)
deliver\w{0,9} (status|notification|fail|problem|error|has failed)
(mail|message|e-?mail) (could|can) ?not be delivered
failure notice
failed delivery
failure delivery
(mail|message)\b.{0,20}(delivery )?(has )?fail(ed|ure)
mail system error
returning message
non[- ]?remis
unzustellbar
nicht zugestellt
error sending
aws notification
no entregad
devuelto
devolvid
mancata consegna
配信
送信(エラー|失敗)
""")
_FAILED: Final = _any(r"""
\b(could|can|was|were|has|have|is)( ?not|n['’]t)( yet)?( be| been)? (deliver|sent|reach)
undeliver
unable to (deliver|send)
did(n['’]t| not) reach
not able to deliver
wasn['’]t able to deliver
trouble delivering
deliver\w{0,9}\b.{0,40}\b(fail|abort|error|delay)
(fail|error|problem)\w{0,9}\b.{0,40}\bdeliver
error occurred while
(permanent|fatal|delivery|returned)( \w+)? (errors?|failure)
failed address
following address\w{0,4} .{0,20}fail
was rejected
(were|was) affected
transcript of session
no such user
(unknown|invalid)( \w+){0,3} (user|recipient|userid|address)
user unknown
mailbox (is )?full
smtp error
failure reasons?
server message
returned mail
mail notify
may not exist
not (a )?member
notificationtype
送信(でき|に失敗)
配信(でき|に失敗)
не может быть доставлено
konnte nicht (zu|aus)gestellt
n['’]a pas pu [eê]tre (remis|distribu)
no se (pudo|ha podido) entregar
n[aã]o (p[oô]de|foi poss[ií]vel)
""")
_SUCCESS: Final = _any(r"""
\bsuccess
^(delivered|relayed|expanded)\b
delivery\b.{0,60}\bis complete
(was|were|has been) (delivered|relayed)
(erfolgreich|wurde) zugestellt
""")
_NOTICES: Final = _any(r"""
quarantine
digest
(mailbox|quota|storage)\b.{0,30}\b(warning|almost|nearly|limit)
(warning|notice):? (your )?(mailbox|quota|storage)
""")
_DELAYED: Final = _any(r"""
\bdelay(ed)?\b
not yet been delivered
will (be re-?tried|keep trying|continue)
still being
warning message only
delivery attempts will continue
will try again
retried for
""")
_FINAL: Final = _any(r"""
permanent
fatal
gave up
giv(en|ing) up
failed permanently
returned to sender
undeliverable
could not be delivered to
not going to try
no further
will be deleted
for the last
aborted
""")
_AWAY: Final = _any(r"""
(re: ?)?auto(matic|mated|matische|matisch)?[ :-]*(reply|response|answer|antwort|r[eé]ponse|respuesta|resposta)?[: ]
(re: ?)?(i am )?(out of (the )?office|on (vacation|holiday|leave)|vacation|away)\b
abwesen|absence|ausente|fuera de|(risposta|r[eé]ponse|respuesta|resposta) auto
自動(応答|返信)
""")
_AWAY_HEADERS: Final = (
    "X-Autoreply",
    "X-Auto-Reply",
    "X-Autorespond",
    "X-AutoReply-From",
    "X-Auto-Response",
    "X-Vacation",
)


def is_mail_system(top: Part, text: str) -> bool:
    """Whether a mail system wrote it, by its headers; where they do not say so plainly, by its manner, too.

    Autoresponders have a null return path as well (RFC 3834 §3.3).
    """
    if top.headers.get("X-Failed-Recipients"):
        return True
    sender, is_reply = top.header("From"), top.header("Auto-Submitted").lower().startswith("auto-replied")
    if is_reply:
        return bool(re.search(r"mail\w{0,9}[-_. ]?daemon|mail deliver", sender, re.IGNORECASE))
    is_null = top.header("Return-Path") == "<>" or sender.strip() in ("", "<>")
    if _DAEMONS.search(sender) or not is_null or is_auto_reply(top):
        return bool(_DAEMONS.search(sender))
    is_nobody = sender in ("", "<>") or re.search(r"no-?reply", sender, re.IGNORECASE)
    return bool(is_nobody or _SUBJECTS.search(top.header("Subject")) or reply_of(text) or status_of(text))


def is_circular(top: Part) -> bool:
    """A list's or a newsletter's, whatever it quotes; and what answers or forwards a bounce."""
    names = ("List-Id", "List-Unsubscribe", "List-Post", "Feedback-ID")
    if any(top.headers.get(name) for name in names):
        return True
    is_answer = re.match(r"(re|aw|fwd?|wg|tr|rv|sv)\s*:", top.header("Subject"), re.IGNORECASE)
    return bool(is_answer) and not _DAEMONS.search(top.header("From"))


def is_auto_reply(top: Part) -> bool:
    if top.header("Auto-Submitted").lower() not in ("", "no"):
        return True
    if any(top.headers.get(name) for name in _AWAY_HEADERS):
        return True
    return top.header("Precedence").lower() == "auto_reply" or bool(_AWAY.match(top.header("Subject")))


def is_old_complaint(top: Part, original: Part | None) -> bool:
    """Hotmail's from before RFC 5965."""
    return original is not None and top.header("Subject").strip().lower().startswith(
        "complaint about message from"
    )


def is_success(subject: str, text: str) -> bool:
    """It arrived; or a mailbox's or a filter's own notice, about no message that was sent."""
    is_told = _SUCCESS.search(text[:LONGEST]) or _SUCCESS.search(subject)
    return bool(_NOTICES.search(subject)) or (bool(is_told) and not _FAILED.search(text[:LONGEST]))


def is_failure(subject: str, text: str) -> bool:
    return bool(_FAILED.search(text[:LONGEST]) or _SUBJECTS.search(subject))


def is_delay(subject: str, text: str) -> bool:
    """It is being tried still."""
    if re.search(r"\(delay\)|\bdelay(ed)?\b|\bwarning\b", subject, re.IGNORECASE):
        return True
    return bool(_DELAYED.search(text[:LONGEST])) and not _FINAL.search(text[:LONGEST])


def plain(text: str, *, is_html: bool) -> str:
    """Text as a person reads it; addresses in angles stay."""
    if not is_html:
        return text[:LONGEST]
    first, *others = _UNSEEN.split(text[: 2 * LONGEST])
    text = first + " ".join(_UNSEEN_END.split(each, maxsplit=1)[-1] for each in others)
    text = re.sub(r"(?i)<(br|p|div|tr|td|li|h\d)\b[^<>]{0,1000}>", "\n", text)
    return html.unescape(re.sub(r"<[^<>@]{0,1000}>", " ", text))[:LONGEST]


def divided(text: str) -> tuple[str, str]:
    """The mail system's own words, and what it returns."""
    for found in _RETURNED.finditer(text):
        if text[: found.start()].strip():
            return text[: found.start()], text[found.start() :]
    return text, ""


def returned_to(returned: str) -> list[str]:
    """Whom the message that stands in a text was to reach."""
    found = re.search(r"^to:[ \t]*(.{3,500})", returned[:LONGEST], re.IGNORECASE | re.MULTILINE)
    return re.findall(EMAIL, found[1]) if found else []


_UNSEEN: Final = re.compile(r"<(?:style|script|head)\b", re.IGNORECASE)
_UNSEEN_END: Final = re.compile(r"</(?:style|script|head)>", re.IGNORECASE)

# --- Who was not reached ------------------------------------------------------------------------------------

# "<anna@example.com>: reason", "  anna@example.com", "554 5.1.1 <anna@example.com>... User unknown", "* anna@example.com".
_FIRST_ON_LINE: Final = re.compile(rf"[\s>*\"'<|]*({EMAIL})(?P<rest>.*)")
_TRANSCRIPT: Final = re.compile(
    rf"\s*(?P<before>[45]\d\d[ -](?:[45]\.\d+\.\d+ )?)<?({EMAIL})>?\.\.\.(?P<rest>.*)"
)
# "Unable to deliver message to: <anna@example.com>", "Unknown user: anna@example.com".
_LABELED: Final = re.compile(
    r"(?:deliver\w{0,9}|recipients?|address(?:es)?|users?|user ?id|sent|send|errors?|reach(?:ed)?|failed|list|gateway)\b"
    rf"[^@\n<>]{{0,50}}?[:<\s]+({EMAIL})",
    re.IGNORECASE,
)
_COMMAND: Final = re.compile(rf"rcpt to:\s*<?({EMAIL})", re.IGNORECASE)
_BEFORE_WORDS: Final = "> \t:.,\"'"
_ASIDE: Final = _any(r"""
contact
sender
\bfrom\b
assistance
help ?desk
questions?
postmaster
support@
連絡
問い合わせ
reply
""")


def failures(text: str) -> list[Said]:
    """Each address that a text says was not reached, with what it says of it; the plainest manner that is found."""
    text = text[:LONGEST]
    found = _by_lines(text.split("\n")[:MOST_LINES])
    if not found:
        for manner in (_LABELED, _COMMAND):
            found = _anywhere(manner, text)
            if found:
                break
    return list(found.values())


def _by_lines(lines: list[str]) -> dict[str, Said]:
    """Sections that an address at a line's beginning opens and the next one ends."""
    starts: list[tuple[int, str, str]] = []
    for n, line in enumerate(lines):
        if "@" not in line or len(line) > 2_000:
            continue
        match = _TRANSCRIPT.match(line) or _FIRST_ON_LINE.match(line)
        if match is None or (
            n and _ASIDE.search(lines[n - 1]) and not match["rest"].strip(">" + _BEFORE_WORDS)
        ):
            continue
        before = match.groupdict().get("before") or ""
        email = next(each for each in match.groups() if each and "@" in each)
        starts.append((n, email, before + match["rest"].lstrip(_BEFORE_WORDS)))
    found: dict[str, Said] = {}
    for i, (n, email, rest) in enumerate(starts):
        end = starts[i + 1][0] if i + 1 < len(starts) else len(lines)
        section = rest if _is_reply(rest) else "\n".join([rest, *lines[n + 1 : end]])
        known = found.get(email.lower())
        words = f"{known.words}\n{section}" if known else section
        found[email.lower()] = Said(known.email if known else email, _telling(words))
    return found


def _anywhere(manner: re.Pattern[str], text: str) -> dict[str, Said]:
    found: dict[str, Said] = {}
    matches = [
        match for match in manner.finditer(text) if not _ASIDE.search(_line_before(text, match.start(1)))
    ]
    for i, match in enumerate(matches):
        others = (each.start() for each in matches[i + 1 :] if each[1].lower() != match[1].lower())
        words = text[match.end() : next(others, len(text))].lstrip(_BEFORE_WORDS)
        found.setdefault(match[1].lower(), Said(match[1], _telling(words)))
    return found


def _is_reply(rest: str) -> bool:
    """A transcript says it all in one line, and goes on with others' lines."""
    return rest[:3].isdigit() and explained("", rest) is not None


def _line_before(text: str, position: int) -> str:
    return text[max(text.rfind("\n", 0, position), position - 200) + 1 : position]


def _telling(words: str) -> str:
    """The first paragraphs that say why; all where none does."""
    words = words[:MOST_WORDS].strip()
    end = -1
    while (end := words.find("\n\n", end + 1)) > 0:
        if explained("", words[:end]):
            return words[:end]
    return words


def telling_line(text: str) -> str:
    """The first line of a text that says why; "" where none does."""
    return next((line.strip() for line in text.split("\n")[:MOST_LINES] if explained("", line)), "")
