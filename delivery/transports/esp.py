"""The way out over an ESP's HTTP API: django-anymail over a kept session, as many messages a call as it takes.

One letter goes as a finished message by the ESP's plain call. Many go by its batch call, in the provider's mode: see
`esp_slots` and `esp_combined`.
"""

import copy
import json
import threading
import time
import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import botocore.exceptions
import botocore.session
import requests
from anymail.exceptions import AnymailConfigurationError, AnymailError, AnymailRequestsAPIError
from anymail.message import AnymailStatus
from django.core.mail import get_connection

from delivery.feedback.facts import Kind
from delivery.providers import Provider
from delivery.transports.base import (
    Answer,
    CannotConnect,
    Fate,
    Letter,
    Meanwhile,
    Message,
    Outcome,
    Skeleton,
    nothing,
)
from delivery.transports.esp_answers import WORDS_LIMIT, outcome_of_error, outcomes_of_status
from delivery.transports.esp_bulk import looked_up
from delivery.transports.esp_combined import add_data, combine
from delivery.transports.esp_form import multipart
from delivery.transports.esp_mail import Writer, read
from delivery.transports.esp_replies import outcomes_of
from delivery.transports.esp_slots import LITERALS, size_of, texts_of
from delivery.transports.hosts import refuse_metadata

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
ANSWER_BYTES = 16 * 2**20  # unpacked; of a thousand messages there are some hundred kilobytes
# Anymail's own, and what its parsers raise on an answer that is not as documented.
TROUBLE = (
    AnymailError,
    AnymailConfigurationError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,  # JSON nested a thousand times
)
OUR_OWN = ("test_from", "own_headers")  # settings of an account that are no arguments of a backend
# A session that idled for longer is connected anew: where the ESP closes it just then, it would not be known
# whether the call was taken. Node's servers close idle connections after five seconds.
IDLE_SECONDS = 3.0
REPEATS = 2  # of a call without an answer, where its key makes that harmless
REPEAT_AFTER_SECONDS = 1.0
_amazon, _amazon_lock = botocore.session.Session(), threading.Lock()
ENVELOPE_BYTES = 400  # of one recipient in a call beside its values: address, name, links, braces


def connect(provider: Provider, values: dict[str, Any], secrets: dict[str, str]) -> "Connection":
    """Make the provider's session; most notice wrong keys only when the first message is sent.

    Raises: CannotConnect: the account's settings do not suffice.
    """
    backend = open_backend(provider, values, secrets)
    return Connection(provider, backend, own_headers=values.get("own_headers", True))


def open_backend(
    provider: Provider, values: dict[str, Any], secrets: dict[str, str], *, seconds: float | None = None
) -> Any:
    """Anymail's backend with its session open, as `connect`; seconds: in place of the usual patience."""
    given = {**values, **secrets}
    known = {name: value for name, value in given.items() if value != "" and name not in OUR_OWN}
    if "api_url" in known:
        refuse_metadata(urlsplit(known["api_url"]).hostname or "")
    patience = (seconds or CONNECT_SECONDS, seconds or ANSWER_SECONDS)
    try:
        backend: Any = get_connection(
            f"anymail.backends.{provider.name}.EmailBackend",
            **arguments(provider, known, patience),
            fail_silently=False,
        )
        if provider.name == "amazon_ses":
            backend.client = _client_of_amazon(backend)
        backend.open()
    except (AnymailConfigurationError, AnymailError, botocore.exceptions.BotoCoreError, ValueError) as error:
        words = f"{provider.label}: {error}"
        raise CannotConnect(Outcome(Fate.ACCOUNT_STOPPED, server_said=words)) from error
    if isinstance(getattr(backend, "session", None), requests.Session):
        backend.session.max_redirects = 0  # an API does not redirect; following could lead anywhere
        backend.session.hooks["response"].append(_read_all)
    return backend


def _client_of_amazon(backend: Any) -> Any:
    """As the backend would make it, but of one session a process: reading Amazon's models takes twenty times as long."""
    with _amazon_lock:
        return _amazon.create_client("sesv2", **backend.session_params, **backend.client_params)


def _read_all(response: requests.Response, **_: Any) -> None:
    """Read the answer before requests does, which takes one without end. Raises: requests.RequestException."""
    body = b""
    for piece in response.iter_content(64 * 1024):
        body += piece
        if len(body) > ANSWER_BYTES:
            response.close()
            raise requests.exceptions.ContentDecodingError("The answer is too long to be one.")
    response._content = body


def arguments(provider: Provider, known: dict[str, Any], patience: tuple[float, float]) -> dict[str, Any]:
    """An account's values as the backend's keyword arguments. patience: seconds to connect, and for an answer."""
    if provider.name == "mailersend":
        known = {**known, "batch_send_mode": "use-bulk-email"}
    if provider.name == "postal" and "api_url" in known:  # anymail adds the path of the API, typed or not
        known = {**known, "api_url": known["api_url"].rstrip("/").removesuffix("/api/v1")}
    if provider.name != "amazon_ses":
        return {**known, "requests_timeout": patience}
    # Keys are always ours: left out, boto would take the machine's own.
    keys = {
        "aws_access_key_id": known.get("access_key_id", "-"),
        "aws_secret_access_key": known.get("secret_access_key", "-"),
    }
    timeouts = dict(zip(("connect_timeout", "read_timeout"), patience, strict=True))
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
        self._provider, self._backend = provider, backend
        self._writer = Writer(provider, own_headers=own_headers)
        self._used_at = time.monotonic()
        self._kinds: dict[bool, Any] = {}
        self._static: tuple[Skeleton, int] | None = None

    def send(
        self, message: Message, upcoming: Message | None = None, meanwhile: Meanwhile = nothing
    ) -> Outcome:
        """Hand over one finished message. Never raises: what an ESP says or does not say becomes an outcome."""
        try:
            skeleton, letter = read(message)
        except TROUBLE as error:
            words = f"The message does not fit {self._provider.label}: {error}"
            return Outcome(Fate.REJECTED, "unsupported", words[:WORDS_LIMIT])
        return self.send_letters(skeleton, [letter], key=uuid.uuid4()).outcomes[0]

    def cut(self, skeleton: Skeleton, letters: Sequence[Letter]) -> list[Sequence[Letter]]:
        """Cut them into calls: at most so many and so large, no address twice, apart whose values are too long."""
        provider, calls, alone = self._provider, list[Sequence[Letter]](), list[Sequence[Letter]]()
        static = self._static_size(skeleton)
        call, room, known = list[Letter](), provider.call_bytes - static, set[str]()
        each_static = static if provider.mode == "combined" else 0
        for letter in letters:
            own = size_of(*letter.slots)
            size = own + each_static + ENVELOPE_BYTES
            if own > provider.slot_bytes or size > provider.call_bytes - static:
                alone.append([letter])
                continue
            address = letter.to.lower()
            if call and (len(call) == provider.most or size > room or address in known):
                calls.append(call)
                call, room, known = [], provider.call_bytes - static, set()
            call.append(letter)
            known.add(address)
            room -= size
        return [*calls, *([call] if call else []), *alone]

    def send_letters(self, skeleton: Skeleton, letters: Sequence[Letter], *, key: uuid.UUID) -> Answer:
        """One call for all of them. Never raises, as `send`; key: see BatchConnection."""
        try:
            mail = self._writer.mail(skeleton, letters)
            payload = self._payload(mail, skeleton, letters, key)
        except TROUBLE as error:  # nothing was handed over: at least one of them cannot go this way
            words = f"The message does not fit {self._provider.label}: {error}"
            return _for_all(Outcome(Fate.REJECTED, "unsupported", words[:WORDS_LIMIT]), letters)
        repeats = REPEATS if self._provider.repeat_seconds else 0
        answer = self._call(payload, mail, letters)
        while repeats and answer.outcomes[0].fate is Fate.IN_DOUBT:
            repeats -= 1
            time.sleep(REPEAT_AFTER_SECONDS)
            self._reconnect()
            answer = self._call(payload, mail, letters)
        if answer.outcomes[0].code in ("in doubt", "dropped"):
            self.close()
        return answer._replace(outcomes=[*map(_of_ascii, answer.outcomes, letters)])

    def close(self) -> None:
        self.usable = False
        self._backend.close()

    # --- The call -----------------------------------------------------------------------------------------

    def _call(self, payload: Any, mail: Any, letters: Sequence[Letter]) -> Answer:
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self._reconnect()
        backend, name = self._backend, self._provider.name
        try:
            response = backend.post_to_esp(payload, mail)
            if (
                len(letters) > 1
                and getattr(response, "status_code", 200) >= 400
                and not _lists(name, response)
            ):
                raise _refused(backend, response)
            mail.anymail_status.esp_response = response
            read = partial(_status, backend, response, payload, mail)
            if len(letters) == 1:
                return Answer(outcomes_of_status(name, read(), [letters[0].to]))
            outcomes = outcomes_of(name, response, letters, read)
            return Answer(looked_up(backend, response, outcomes) if name == "mailersend" else outcomes)
        except TROUBLE as error:
            return _for_all(outcome_of_error(name, error), letters)
        finally:
            self._used_at = time.monotonic()

    def _reconnect(self) -> None:
        """Drop the connections that are kept; the next call makes one."""
        session = getattr(self._backend, "session", None)
        if isinstance(session, requests.Session):
            session.close()
        self._used_at = time.monotonic()

    def _payload(self, mail: Any, skeleton: Skeleton, letters: Sequence[Letter], key: uuid.UUID) -> Any:
        """Anymail's call, written out, with what it has no words for."""
        backend, provider = self._backend, self._provider
        payload = self._kind_of(mail)(mail, backend.send_defaults, backend)
        if provider.name == "amazon_ses":
            payload.finalize_payload()
            payload.finalize_payload = lambda: None
            return payload
        parameters = payload.get_request_params(backend.api_url)
        if len(letters) > 1 and provider.mode == "combined":
            parameters["data"] = combine(provider.name, parameters["data"], skeleton, letters, key)
        elif provider.name in LITERALS:
            literals = texts_of(provider.name, skeleton, letters[0])[-1]
            parameters["data"] = _completed(provider.name, parameters["data"], literals, letters[0], key)
        if provider.name == "resend":
            parameters["headers"]["Idempotency-Key"] = str(key)
        if provider.name == "mailgun":
            parameters["data"], parameters["headers"]["Content-Type"] = multipart(parameters["data"])
        payload.get_request_params = lambda api_url: parameters
        return payload

    def _kind_of(self, mail: Any) -> Any:
        """Anymail's class for such a call, that takes the recipients' addresses as they are.

        It would write them into text and read them back, which takes half of a call's time.
        """
        is_batch = hasattr(mail, "merge_data") or hasattr(mail, "merge_metadata")
        if is_batch not in self._kinds:
            sample = copy.copy(mail)
            sample.to = ["sample@volley.invalid"]
            kind = type(self._backend.build_message_payload(sample, self._backend.send_defaults))
            attributes = {"base_message_attrs": _as_they_are(kind.base_message_attrs)}
            self._kinds[is_batch] = type(kind.__name__, (kind,), attributes)
        return self._kinds[is_batch]

    def _static_size(self, skeleton: Skeleton) -> int:
        """Octets of what all have in common, in a JSON body."""
        if self._static is None or self._static[0] is not skeleton:
            pieces = (*skeleton.subject, *skeleton.text, *skeleton.html)
            self._static = skeleton, size_of(*(piece for piece in pieces if isinstance(piece, str)))
        return self._static[1]


def _for_all(outcome: Outcome, letters: Sequence[Letter]) -> Answer:
    """What is said of the call as one is said of nobody in it, unless it holds nobody else."""
    if len(letters) == 1:
        return Answer([outcome])
    outcome = outcome._replace(verdict=None)
    return Answer([outcome] * len(letters), is_refused=outcome.fate is Fate.REJECTED)


def _of_ascii(outcome: Outcome, letter: Letter) -> Outcome:
    """An address with letters beyond ASCII may be good; it is this ESP that does not know it."""
    if outcome.verdict is Kind.BOUNCED and not letter.to.isascii():
        return outcome._replace(verdict=None)
    return outcome


def _lists(provider: str, response: Any) -> bool:
    """Whether an answer that is an error tells it of each message: Mailjet's, where some were not taken."""
    return provider == "mailjet" and "Messages" in response.json()


def _refused(backend: Any, response: Any) -> AnymailRequestsAPIError:
    return AnymailRequestsAPIError(response=response, backend=backend)


def _status(backend: Any, response: Any, payload: Any, mail: Any) -> AnymailStatus:
    """Anymail's own reading of the answer."""
    status: AnymailStatus = mail.anymail_status
    status.set_recipient_status(backend.parse_recipient_status(response, payload, mail))
    return status


def _completed(provider: str, written: str, literals: dict[str, str], letter: Letter, key: uuid.UUID) -> str:
    """The call of one finished message, with what anymail has no words for."""
    data = json.loads(written)
    if literals:
        add_data(provider, data, literals, letter)
    if provider == "brevo":
        data.setdefault("headers", {})["idempotencyKey"] = str(key)
    return json.dumps(data)


def _as_they_are(attributes: Any) -> Any:
    """Anymail's table of what it reads of a message, with recipients that are not read from text."""
    return tuple((name, combine, None if name == "to" else convert) for name, combine, convert in attributes)
