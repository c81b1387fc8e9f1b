"""What a server's words about a message mean for its recipient: one table for bounces by mail, webhooks and SMTP.

RFC 3463 says what the codes should mean; servers use them lazily, so the words are weighed before the code.
"""

import re
from typing import Final, Literal

from delivery.feedback.facts import Kind

Class = Literal[Kind.BOUNCED, Kind.SOFT_BOUNCED, Kind.BLOCKED]
LONGEST: Final = 2_000  # characters of words that are looked at

# "550 5.1.1", "550-5.7.26", "550-'5.2.2", "550 #5.1.0": behind a reply code it is the refusing server's own.
_OWN: Final = re.compile(r"(?<![\d.])[245]\d\d[ \t:-]{1,3}[(<'\"#]{0,2}([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_ENHANCED: Final = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_REPLY: Final = re.compile(
    r"(?<![\w.=-])([45][0-7]\d)(?=[\s:;-]|$)(?! (?:second|minute|hour|day|byte|[MK]B))"
)
_ADDRESS: Final = re.compile(r"<?[\w.+=/-]{1,64}@[\w.-]{1,255}>?")
# It was refused before anybody was named.
_BEFORE_RCPT: Final = re.compile(
    r"(after|in reply to|response to) (the )?(MAIL|HELO|EHLO|AUTH|initial connection)", re.IGNORECASE
)

_ABOUT_US: Final = r"""
(sender|return.path|envelope.from)( e?-?mail)?( address| domain)?( is| was)? (rejected|refused|denied|unknown|invalid|verif)
(sender|mail ?from|from)\b.{0,30}\bdomain.{0,60}(not exist|not found|invalid|resolv|listed)
domain of sender
valid (sender|from)
from:? domain is invalid
purported responsible
unverif[iy]+able
unable to verify sender
addresses in from
\b(from|sender) header
not (a )?(member|subscriber)s? of
(not allowed|permission) to (post|send)
(recipient|group) (only )?(accepts|allows|is restricted)
resolver\.rst
smtp server of your isp
black.?list(?!ed url)
(?<!allow)block.?list
traffic not accepted
deny.?list
\b(dns|rh|u?ri?)s?bls?\b
spamhaus
spamcop
\bsorbs\b
\bblocked\b
\bbanned\b
bloqu[eé]e
reputation
\bspf\b
\bdkim\b
\bdmarc\b
sender id
unauthenticated
(not|fails?|failed|must be) (pass |be )?authenticat
reverse.?dns
\brdns\b
\bptr\b
helo (command )?rejected
(invalid|bad) helo
"""
_FULL: Final = r"""
(mail ?box|in ?box|mail ?folder|account|user|recipient|disk|storage|maildir)\b.{0,50}\bfull\b
\b(over|out of|exceed\w{0,4}|insufficient|not enough)\b.{0,40}\b(quota|storage|disk|space|allocation)
over.?quota
no space left
file too large
\bquota\b.{0,40}(exceed|full|reached|violat|limit)
(mail ?box|account|in ?box)\b.{0,40}exceed
exceptionshutoffquota
postfach.{0,20}voll
bo[iî]te.{0,30}pleine
bu[zs][oó]n.{0,20}lleno
caixa.{0,20}cheia
casella.{0,20}piena
(メールボックス|容量).{0,20}(満|いっぱい|超)
ящик.{0,20}(переполнен|полон)
"""
_CONTENT: Final = r"""
\bspam\b.{0,20}(detected|content|score|message|mail)
(detected|identified|considered|classified|rejected|refused|blocked) (as|for|due to|to be) (\w+ )?spam
unsolicited
\bu[bc]e\b
junk mail
\bvirus
malware
phish
suspicious
blacklisted url
content.{0,20}(reject|refus|denied|not accept|policy|potential)
header error
duplicate header
\b(message|mail|e-?mail|headers?)\b.{0,30}(rejected by|too (big|large))
(message|headers?|line)( is)? too long
(message|mail|body)['’s]* (size|length)
"""
_RATE: Final = r"""
rate.?limit
connection (rate|frequency)
frequency (is )?limit
too many (connections|messages|recipients|e?-?mails|errors)
unexpected volume
user complaints
throttl
receiving mail (at a rate|too quickly)
(hourly|daily|sending) (quota|limit)
"""
_LATER: Final = r"""
gr[ea]y.?list
\btry( again)? later
temporar
timed? ?out
retry time
(message|envelope|delivery) (has )?expired
deferred
\bloop(s|ing)?\b
hop count
points? to local ?host
listed as a best-preference
too many hops
connection (was )?(refused|reset|dropped|lost|closed)
lost connection
no route to host
network (is )?unreachable
did not accept our requests to connect
in the queue too long
last \d+ seconds
\b(service|server|system|host)\b( is)?( currently| not)? (unavailable|available|busy|overloaded|down)
not accepting
\b(system|configuration|config|internal) (system )?error
system resources
ldap server
not found, try again
query failed
host ?name lookup failure
"""
# "The mailbox … does not exist", "unknown or illegal local user".
_SOMEBODY: Final = "user|account|mail ?box|recipient|address|alias|subscriber|login|userid|customer|addressee"
_IS_GONE: Final = (
    r"unknown|not (be )?(found|known|listed|exist|recogni[sz]ed|valid|registered|active|available)|n['’]t exist"
    r"|(does|do) not exist|invalid|illegal|no longer|unavailable|inactive|disabled|discontinued|suspended"
    r"|deactivated|terminated|expired|closed|deleted|removed|moved|cancell?ed"
)
_NO: Final = (
    "unknown|illegal|invalid|bad|incorrect|inactive|disabled|unroutea?ble|obsolete|no such|non-?existent"
)
_WHICH: Final = " or \\w+| final| local| remote| destination| delivery| e?-?mail| virtual| recipient"
_GONE: Final = rf"""
\b({_SOMEBODY})s?( name)?\b[^;]{{0,40}}?\b({_IS_GONE})\b
\b({_NO})({_WHICH})* ?({_SOMEBODY}|name|person|local.part)
\bno (mail ?box|valid|matching) (here|recipients?)
\bnot (our|a known|an? (valid|active|existing|local|registered)( \w+)?) ({_SOMEBODY})
does(n['’]?t| not) have an? .{{0,60}}account
recipnotfound
nosuchuser
disableduser
not listed in
(could|can)(n['’]t| ?not) be found
recipient (address )?rejected\W*$
\bno mx\b
(user|account) (has )?left
recipient address rejected: access denied
\b542 .{{0,80}}rejected
destinataire (invalide|inconnu)
utilisateur inconnu
adresse.{{0,20}}(invalide|inexistante|inconnue)
(empf(ä|ae|a)nger|benutzer|adresse|postfach).{{0,30}}(unbekannt|existiert nicht|nicht (gefunden|bekannt|vorhanden|g[uü]ltig))
(usuario|cuenta|bu[zs][oó]n|direcci[oó]n).{{0,30}}(desconocid|no existe|inv[aá]lid)
(usu[aá]rio|conta).{{0,30}}(n[aã]o existe|desconhecid)
(utente|destinatario|casella).{{0,30}}(sconosciut|inesistente|non esiste)
(宛先|ユーザ|アドレス).{{0,20}}(不明|存在し|見つかり)
(пользовател|адрес|ящик|получател)\w{{0,9}}.{{0,40}}(не (найден|существует)|неизвест|недоступ)
\b(host|domain|mail exchanger|server)\b( or domain)?( names?)?\b[^;]{{0,40}}?(not found|\bunknown|not reachable)
\b(host|domain)\b[^;]{{0,40}}?(n['’]t exist|not exist|invalid)
\b(unknown|no such|illegal|bad|invalid|non-?existent) (host|domain|mx)
(indicates?|indicated|offers?) no smtp service
several matches found
nxdomain
couldn['’]?t find (any|a)
find a gateway
null ?mx
does(n['’]?t| not) (receive|accept) e?-?mail
no relevant answers
name or service not known
"""
_ABOUT_US_PERHAPS: Final = r"""
\bspam
polic(y|ies)
access denied
not authori[sz]ed
\brelay
authentication
security (polic|reason|issue|violation)
denied
prohibited
restricted
not allowed
rejected
refus[eé]
rejet[eé]
verweigert
abgelehnt
rechazad
rejeitad
rifiutat
"""


def _any(*phrases: str) -> re.Pattern[str]:
    lines = [line for each in phrases for line in each.strip().splitlines()]
    return re.compile("|".join(lines), re.IGNORECASE | re.DOTALL)


# The first that fits decides. What is said of us comes first, since the words for the address ("does not exist",
# "unknown") are used of senders, too; what may pass comes before what will not.
_WORDS: Final[tuple[tuple[Class, re.Pattern[str]], ...]] = (
    (Kind.BLOCKED, _any(_ABOUT_US)),
    (Kind.SOFT_BOUNCED, _any(_FULL)),
    (Kind.BLOCKED, _any(_CONTENT, _RATE)),
    (Kind.SOFT_BOUNCED, _any(_LATER)),
    (Kind.BOUNCED, _any(_GONE)),
)
_LAST_WORDS: Final = _any(_ABOUT_US_PERHAPS)

# RFC 3463 and IANA's registry, where the words say nothing; the longest that fits decides.
_CODES: Final[dict[str, Class]] = {
    "5.1": Kind.BOUNCED,
    "5.1.7": Kind.BLOCKED,  # the sender's address
    "5.1.8": Kind.BLOCKED,
    "5.2.1": Kind.BOUNCED,  # disabled
    "5.2.2": Kind.SOFT_BOUNCED,  # full
    "5.2.3": Kind.BLOCKED,  # the message is too long for this mailbox
    "5.3.4": Kind.BLOCKED,  # … for the system
    "5.4.4": Kind.BOUNCED,  # no such host
    "5.4.310": Kind.BOUNCED,  # Microsoft's: no such domain
    "5.6": Kind.BLOCKED,  # the content
    "5.7": Kind.BLOCKED,  # policy, authentication
    "4.7": Kind.BLOCKED,
}


def class_of(status: str, words: str) -> Class:
    """What a failure says of its recipient: gone for good, not now, or that it is we who are refused.

    status: "5.1.1", "550 5.1.1", "550" or "". words: the server's, in any language; they may hold codes, too.
    What neither explains is soft: said again and again it ends as soft bounces do.
    """
    return explained(status, words) or Kind.SOFT_BOUNCED


def explained(status: str, words: str) -> Class | None:
    """The same; None where neither code nor words say why."""
    words = words[:LONGEST]
    code = status_of(status) or status_of(words)
    reply = reply_of(status) or reply_of(words)
    kind = (
        _by_words(words)
        or _by_code(code)
        or (Kind.BLOCKED if _LAST_WORDS.search(_ADDRESS.sub(" ", words)) else None)
    )
    if kind is Kind.BOUNCED and _BEFORE_RCPT.search(words):
        return Kind.BLOCKED
    if kind is Kind.BOUNCED and (reply.startswith("4") or (code.startswith("4") and not reply)):
        return Kind.SOFT_BOUNCED  # the words name a reason, and the code says that it may pass
    return kind


def _by_words(words: str) -> Class | None:
    """From the refusing server's reply on, where one is quoted: what precedes it is another's comment."""
    own = _OWN.search(words)
    for said in (words[own.start() :] if own else "", words):
        said = _ADDRESS.sub(" ", said)
        for kind, fits in _WORDS:
            if fits.search(said):
                return kind
    return None


def status_of(words: str) -> str:
    """The enhanced status code in a server's words, "5.1.1"; "" where there is none but "5.0.0" and its like."""
    found = _OWN.findall(words[:LONGEST]) or _ENHANCED.findall(words[:LONGEST])
    return next((code for code in found if code[1:4] != ".0."), "")


def reply_of(words: str) -> str:
    """The SMTP reply code in a server's words, "550"; "" where there is none."""
    found = _REPLY.search(words[:LONGEST])
    return found[1] if found else ""


def _by_code(code: str) -> Class | None:
    while code:
        if code in _CODES:
            return _CODES[code]
        code = code.rpartition(".")[0]
    return None
