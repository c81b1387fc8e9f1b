"""The server: HTTP/1.1 by asyncio, one loop in one thread; each dialect answers below a path of its own.

    with FakeEsp() as fake:
        fake.url("mailgun")                       # http://127.0.0.1:12345/mailgun/v3/
        fake.plan(Plan(status=429, retry_after=3))  # for the next call, in that provider's own words
        fake.messages                             # as each recipient sees them

Alone: python -m tests.fake_esp --port 8025; then GET / gives what it counted.
"""

import asyncio
import contextlib
import importlib
import json
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from tests.fake_esp.core import Account, Answer, Refused, Reply, Request
from tests.fake_esp.messages import Message
from tests.fake_esp.teller import Teller

# Where each API begins, as the provider's own address does after its host.
BEGINNINGS: Mapping[str, str] = {
    "amazon_ses": "",
    "brevo": "/v3",
    "mailersend": "/v1",
    "mailgun": "/v3",
    "mailjet": "/v3.1",
    "mailtrap": "/api",
    "mandrill": "/api/1.0",
    "postal": "",
    "postmark": "",
    "resend": "",
    "scaleway": "/transactional-email/v1alpha1/regions/fr-par",
    "sendgrid": "/v3",
    "sparkpost": "/api/v1",
    "unisender_go": "/ru/transactional/api/v1",
}
DIALECTS = {name: importlib.import_module(f"tests.fake_esp.dialects.{name}") for name in BEGINNINGS}
BODY_LIMIT = 128_000_000  # octets; more than any provider takes


class Plan(NamedTuple):
    """What becomes of one call, beside what its content deserves.

    delay: seconds before the answer. status: refuse with it, in the provider's own words, and take nothing.
    retry_after: seconds, for a 429. answer: half of it and a reset, or none and the connection stays open until the
    client gives up; what was taken stays taken. says: this in place of its own answer. drop: the connection ends
    before the request is read, or in the middle of its body, and nothing is taken.
    """

    delay: float = 0.0
    status: int = 0
    retry_after: int | None = None
    answer: Literal["whole", "half", "none"] = "whole"
    says: Answer | None = None
    drop: Literal["", "before", "body"] = ""


AS_USUAL = Plan()
NOT_YET = Answer()


@dataclass
class Call:
    """One request that was read, and what came of it."""

    number: int
    dialect: str
    request: Request
    connection: int
    at: float  # time.monotonic()
    answer: Answer = NOT_YET
    to: Sequence[str] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    unfilled: Sequence[str] = ()
    render: Callable[[int], Message] | None = None
    _messages: list[Message] | None = None

    @property
    def messages(self) -> list[Message]:
        if self._messages is None:
            assert self.render or not self.to
            self._messages = [self.render(index) for index in range(len(self.to))]
            for message in self._messages:
                object.__setattr__(message, "call", self.number)
        return self._messages


class FakeEsp:
    """keeps: False only counts, for benches of millions. idle_seconds: until it closes a connection without a call."""

    def __init__(self, *, port: int = 0, delay: float = 0.0, keeps: bool = True) -> None:
        self.delay, self.keeps, self.idle_seconds = delay, keeps, 0.0
        self.calls: list[Call] = []
        self.looks: list[Request] = []  # what was asked and changes nothing
        self.call_count = self.recipient_count = self.connection_count = self.octet_count = 0
        self.counts: Counter[str] = Counter()  # recipients by address, while it keeps
        self.unfilled: set[str] = set()  # placeholders that somebody's message had no value for
        self.accounts = {name: Account() for name in BEGINNINGS}
        self.tellers: dict[str, Teller] = {}
        self._plans: deque[tuple[str, Plan]] = deque()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(port,), daemon=True)
        self._started = threading.Event()
        self._connections: set[_Connection] = set()
        self.port = 0

    def __enter__(self) -> "FakeEsp":
        self._thread.start()
        assert self._started.wait(10), "the server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def url(self, dialect: str) -> str:
        """The address of an API, as anymail's api_url (SES: as boto's endpoint_url)."""
        return f"http://127.0.0.1:{self.port}/{dialect}{BEGINNINGS[dialect]}/"

    def account(self, dialect: str) -> Account:
        return self.accounts[dialect]

    def plan(self, *plans: Plan, dialect: str = "") -> None:
        """For the next calls, one each, of a dialect or of any."""
        self._plans.extend((dialect, plan) for plan in plans)

    def webhooks(self, dialect: str, to: Any, key: Any, **more: Any) -> Teller:
        """From now on this dialect's events go to an address, or to a function that takes a `Post`; see `Teller`."""
        self.tellers[dialect] = Teller(dialect, to, key, **more)
        return self.tellers[dialect]

    def tell(self, dialect: str, *whats: str, messages: Sequence[Message] | None = None, **more: Any) -> int:
        """Post that these happened to the messages, all of the dialect's where none are named; give how many posts."""
        told = self.messages_of(dialect) if messages is None else messages
        return self.tellers[dialect].tell(whats, told, **more)

    @property
    def messages(self) -> list[Message]:
        return [message for call in self.calls for message in call.messages]

    def messages_of(self, dialect: str) -> list[Message]:
        return [message for call in self.calls if call.dialect == dialect for message in call.messages]

    def message_to(self, address: str) -> Message:
        """The only one to this address."""
        [message] = [each for each in self.messages if each.to.lower() == address.lower()]
        return message

    def counted(self) -> dict[str, int]:
        """What came so far; `GET /` asks for it from another process."""
        return {
            "calls": self.call_count,
            "recipients": self.recipient_count,
            "octets": self.octet_count,
            "connections": self.connection_count,
        }

    def clear(self) -> None:
        self.calls.clear()
        self.looks.clear()
        self.counts.clear()
        self.unfilled.clear()
        self.call_count = self.recipient_count = self.octet_count = 0

    def _run(self, port: int) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _Connection(self), "127.0.0.1", port)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            for connection in list(self._connections):
                connection.transport.abort()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def next_plan(self, dialect: str) -> Plan:
        for index, (wanted, plan) in enumerate(self._plans):
            if wanted in ("", dialect):
                del self._plans[index]
                return plan
        return AS_USUAL

    def take(self, dialect: str, request: Request, plan: Plan, connection: int) -> Call:
        """Answer a request that was read whole, and keep what it brought."""
        module, account = DIALECTS[dialect], self.accounts[dialect]
        self.call_count += request.method != "GET"  # a look at something is none
        self.octet_count += len(request.body)
        call = Call(self.call_count, dialect, request, connection, time.monotonic())
        if plan.status:
            call.answer = (
                module.throttled(plan.retry_after) if plan.status == 429 else module.broken(plan.status)
            )
        else:
            self._fill(call, module, account)
            call.answer = plan.says or call.answer
        self.recipient_count += len(call.to)
        if self.keeps and request.method == "GET":
            self.looks.append(request)
        elif self.keeps:
            self.calls.append(call)
            self.counts.update(map(str.lower, call.to))
        return call

    def _fill(self, call: Call, module: Any, account: Account) -> None:
        try:
            reply = module.handle(call.request, account)
        except Refused as refused:
            reply = Reply(refused.answer)
        except (LookupError, TypeError, ValueError, AttributeError) as error:  # not at all as documented
            reply = Reply(Answer(400, {"message": f"This cannot be read: {error!r}"}))
        call.answer, call.to, call.render = reply.answer, reply.to, reply.render
        call.refused, call.unfilled = reply.refused, reply.unfilled
        self.unfilled.update(reply.unfilled)


class _Connection(asyncio.Protocol):
    """One client's connection: its requests one after another."""

    transport: asyncio.Transport

    def __init__(self, fake: FakeEsp) -> None:
        self.fake = fake
        self.number = 0
        self.heard = bytearray()
        self.head: tuple[str, str, dict[str, str], int] | None = None
        self.plan = AS_USUAL
        self.is_busy = False
        self.closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.fake.connection_count += 1
        self.number = self.fake.connection_count
        self.fake._connections.add(self)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, error: Exception | None) -> None:
        self.fake._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if self.closing:
            self.closing.cancel()
        if not self.is_busy:
            self._go_on()

    def _go_on(self) -> None:
        if self.head is None and not self._read_head():
            return None
        assert self.head
        method, target, headers, length = self.head
        if self.plan.drop == "body" and self.heard:
            return self._reset()
        if len(self.heard) < length:
            return None
        body = bytes(self.heard[:length])
        del self.heard[:length]
        self.head, self.is_busy = None, True
        return self._answer(method, target, headers, body)

    def _read_head(self) -> bool:
        end = self.heard.find(b"\r\n\r\n")
        if end < 0:
            return False
        first, *lines = self.heard[:end].decode("latin-1").split("\r\n")
        del self.heard[: end + 4]
        method, target, _ = first.split(" ", 2)
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        length = int(headers.get("content-length", 0))
        if length > BODY_LIMIT or "transfer-encoding" in headers:
            self._say(Answer(413 if length > BODY_LIMIT else 411))
            self.transport.close()
            return False
        self.plan = self.fake.next_plan(_dialect_of(target))
        if self.plan.drop == "before":
            self._reset()
            return False
        if headers.get("expect", "").lower() == "100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.head = (method, target, headers, length)
        return True

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        dialect = _dialect_of(target)
        if not dialect:
            return self._say(Answer(200, self.fake.counted()))
        if dialect not in BEGINNINGS:
            return self._say(Answer(404, {"message": f"No provider is called “{dialect}”."}))
        path, _, query = target.partition("?")
        path = path.removeprefix(f"/{dialect}")
        request = Request(method, path.removeprefix(BEGINNINGS[dialect]), query, headers, body)
        call = self.fake.take(dialect, request, self.plan, self.number)
        teller = self.fake.tellers.get(dialect)
        loop = asyncio.get_running_loop()
        if teller and teller.when == "before" and call.to:
            told = loop.run_in_executor(None, teller.tell, (), call.messages)
            told.add_done_callback(lambda _: self._later(call.answer))
        else:
            self._later(call.answer)
            if teller and teller.when == "after" and call.to:
                loop.run_in_executor(None, teller.tell, (), call.messages)
        return None

    def _later(self, answer: Answer) -> None:
        delay = self.plan.delay or self.fake.delay
        if delay:
            asyncio.get_running_loop().call_later(delay, self._say, answer)
        else:
            self._say(answer)

    def _say(self, answer: Answer) -> None:
        if self.transport.is_closing() or self.plan.answer == "none":
            return
        octets = as_octets(answer)
        if self.plan.answer == "half":
            self.transport.write(octets[: len(octets) - max(1, len(octets) // 4)])
            asyncio.get_running_loop().call_later(0.02, self._reset)  # what was written goes out first
            return
        self.transport.write(octets)
        self.is_busy, self.plan = False, AS_USUAL
        if self.fake.idle_seconds:
            self.closing = asyncio.get_running_loop().call_later(self.fake.idle_seconds, self.transport.close)
        if self.heard:
            self._go_on()

    def _reset(self) -> None:
        """End the connection by RST, as a crash does."""
        with contextlib.suppress(OSError):
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def _dialect_of(target: str) -> str:
    return target.partition("?")[0].strip("/").partition("/")[0]


def as_octets(answer: Answer) -> bytes:
    """The answer as HTTP."""
    body = answer.body
    if not isinstance(body, str | bytes):
        body, kind = json.dumps(body), "application/json"
    else:
        kind = "text/html; charset=utf-8"
    octets = body.encode() if isinstance(body, str) else body
    headers = {"Content-Type": kind, **answer.headers, "Content-Length": str(len(octets))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {answer.status} Answer\r\n{head}\r\n".encode() + octets
