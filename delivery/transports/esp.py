"""The way out over an ESP's HTTP API: django-anymail, one message a call over a kept session."""

import email
import email.policy
from email.message import EmailMessage as Parsed
from typing import Any
from urllib.parse import urlsplit

import botocore.exceptions
import requests
from anymail.exceptions import AnymailConfigurationError, AnymailError
from django.core.mail import EmailMultiAlternatives, get_connection

from delivery.links import read_message_token
from delivery.providers import Provider
from delivery.transports.base import CannotConnect, Fate, Meanwhile, Message, Outcome, nothing
from delivery.transports.esp_answers import WORDS_LIMIT, outcome_of_error, outcome_of_status
from delivery.transports.hosts import refuse_metadata

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
# What goes along of our headers. Message-ID and Date are the provider's to make: several refuse others'.
PASSED_ON = ("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-ID")
# Anymail's own, and what its parsers raise on an answer that is not as documented.
TROUBLE = (AnymailError, AnymailConfigurationError, LookupError, TypeError, ValueError, AttributeError)
OUR_OWN = ("test_from", "own_headers")  # settings of an account that are no arguments of a backend


def connect(provider: Provider, values: dict[str, Any], secrets: dict[str, str]) -> "Connection":
    """Make the provider's session; most notice wrong keys only when the first message is sent.

    Raises: CannotConnect: the account's settings do not suffice.
    """
    given = {**values, **secrets}
    known = {name: value for name, value in given.items() if value != "" and name not in OUR_OWN}
    if "api_url" in known:
        refuse_metadata(urlsplit(known["api_url"]).hostname or "")
    try:
        backend: Any = get_connection(
            f"anymail.backends.{provider.name}.EmailBackend",
            **arguments(provider, known),
            fail_silently=False,
        )
        backend.open()
    except (AnymailConfigurationError, AnymailError, botocore.exceptions.BotoCoreError, ValueError) as error:
        words = f"{provider.label}: {error}"
        raise CannotConnect(Outcome(Fate.ACCOUNT_STOPPED, server_said=words)) from error
    if isinstance(getattr(backend, "session", None), requests.Session):
        backend.session.max_redirects = 0  # an API does not redirect; following could lead anywhere
    return Connection(provider, backend, own_headers=values.get("own_headers", True))


def arguments(provider: Provider, known: dict[str, Any]) -> dict[str, Any]:
    """An account's values as the backend's keyword arguments."""
    if provider.name != "amazon_ses":
        return {**known, "requests_timeout": (CONNECT_SECONDS, ANSWER_SECONDS)}
    # Keys are always ours: left out, boto would take the machine's own.
    keys = {
        "aws_access_key_id": known.get("access_key_id", "-"),
        "aws_secret_access_key": known.get("secret_access_key", "-"),
    }
    timeouts = {"connect_timeout": CONNECT_SECONDS, "read_timeout": ANSWER_SECONDS}
    client: dict[str, Any] = {"config": {**timeouts, "retries": {"total_max_attempts": 1}}}
    if "api_url" in known:
        client["endpoint_url"] = known["api_url"]
    named = {name: known[name] for name in ("configuration_set_name",) if name in known}
    return {"session_params": {**keys, "region_name": known.get("region")}, "client_params": client, **named}


class Connection:
    """One kept session with an ESP: a lane's. Not for two threads at once."""

    def __init__(self, provider: Provider, backend: Any, *, own_headers: bool) -> None:
        self.usable = True
        self.announced: Message | None = None  # an API knows nothing of the kind
        self._provider, self._backend, self._own_headers = provider, backend, own_headers

    def send(
        self, message: Message, upcoming: Message | None = None, meanwhile: Meanwhile = nothing
    ) -> Outcome:
        """Hand over one message. Never raises: what an ESP says or does not say becomes an outcome."""
        try:
            mail = self._mail(message)
        except TROUBLE as error:  # nothing was handed over: this message alone cannot go this way
            words = f"The message does not fit {self._provider.label}: {error}"
            return Outcome(Fate.REJECTED, "unsupported", words[:WORDS_LIMIT])
        try:
            self._backend.send_messages([mail])
        except TROUBLE as error:
            outcome = outcome_of_error(self._provider.name, error)
            if outcome.code in ("in doubt", "dropped"):
                self.close()
            return outcome
        return outcome_of_status(self._provider.name, mail.anymail_status, message.to)  # type: ignore[attr-defined]

    def close(self) -> None:
        self.usable = False
        self._backend.close()

    def _mail(self, message: Message) -> EmailMultiAlternatives:
        """Our finished message as Django's, from which anymail makes the API's."""
        parsed = email.message_from_bytes(message.data, policy=email.policy.default)
        assert isinstance(parsed, Parsed)
        mail = EmailMultiAlternatives(
            subject=str(parsed["Subject"] or ""),
            body=_body(parsed, "plain"),
            from_email=_mailbox(parsed, "From") or message.sender,
            to=[_mailbox(parsed, "To") or message.to],
            reply_to=[_mailbox(parsed, "Reply-To")] if parsed["Reply-To"] else None,
            headers=_headers(message.data) if self._own_headers else None,
        )
        html = _body(parsed, "html")
        if html:
            mail.attach_alternative(html, "text/html")
        self._annotate(mail, parsed)
        return mail

    def _annotate(self, mail: Any, parsed: Parsed) -> None:
        """Our name for the message, opaque since some ESPs put it in a header; none of their tracking."""
        ours = read_message_token(str(parsed["Message-ID"] or "").strip("<>").partition("@")[0])
        if ours and self._provider.metadata:
            mail.metadata = {"volley": f"{ours[0]}-{ours[1]}"}
        if self._provider.tracking_per_message:
            mail.track_opens = mail.track_clicks = False


def _body(parsed: Parsed, kind: str) -> str:
    part = parsed.get_body((kind,))
    return part.get_content().replace("\r\n", "\n") if part else ""


def _mailbox(parsed: Parsed, header: str) -> str:
    """The first `Name <address>` of a header, its words decoded."""
    found = getattr(parsed[header], "addresses", ())
    return str(found[0]) if found else ""


def _headers(data: bytes) -> dict[str, str]:
    """The headers that go along: unfolded, encoded words left as they are (Brevo takes ASCII only)."""
    head = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    raw = email.message_from_bytes(head, policy=email.policy.compat32)
    return {name: " ".join(str(raw[name]).split()) for name in PASSED_ON if raw[name]}
