"""A mail server that misbehaves: `python -m tests.faults.hostile --acts close,garbage --share 0.03 --seed 7`.

It prints its port, and when it is ended what it did to each recipient's message, in order, one letter a try:
A taken and answered 250; D taken, and no answer that a client could believe; B hung up in the middle of the body;
R refused for good; T refused for now. Refusals of MAIL in lock-step name nobody and are counted apart.
"""

import argparse
import asyncio
import contextlib
import json
import random
import signal
from collections import Counter, defaultdict

COMMANDS = ("MAIL", "RCPT", "DATA")
POINTS = ("connect", "EHLO", *COMMANDS, "body", "END", "after")
# What may go wrong where. Refusals of MAIL other than 552 and 554 set the whole account aside: "refuse" does that.
ACTS = {
    "close": POINTS,
    "hang": ("connect", "EHLO", *COMMANDS, "END"),
    "silence": ("MAIL", "RCPT", "DATA", "END"),
    "421": ("connect", *COMMANDS, "END"),
    "4xx": (*COMMANDS, "END"),
    "5xx": (*COMMANDS, "END"),
    "garbage": ("connect", "EHLO", *COMMANDS, "END"),
    "refuse": ("MAIL",),
}
AT_MOST = {"silence": 1, "421": 2, "refuse": 1}  # in all; each costs the client a minute, or half of its pace
CONNECTION_SHARE = 0.1  # of connections that get no further than the greeting or EHLO
ODD_SHARE = 0.05  # of good answers that come in several lines or pieces
SILENCE_SECONDS = 200
BODY_LIMIT = 2**20  # bytes
LATER = ("450 4.2.0 Mailbox busy", "451 4.3.0 Local error", "452 4.2.2 Mailbox full", "450 Greylisted")
NEVER = {
    "MAIL": ("552 5.3.4 Too big", "554 5.6.0 Not this content"),
    "RCPT": ("550 5.1.1 No such user", "551 5.1.6 Moved", "553 5.1.3 Bad address", "550 No"),
    "DATA": ("554 5.5.1 No", "552 5.2.2 Mailbox full"),
    "END": ("550 5.7.0 Content", "552 5.3.4 Too big", "554 5.6.0 Not this content"),
}
GARBAGE = (
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\xff\xfe\x00\x00\x80\r\n",
    b"\r\n",
    b"hello\n",
    b"2x0 Ok\r\n",
    b"999 What\r\n",
    b"x" * 5000,
    b"25",
)
MISFIT = b"354 Go on\r\n"  # SMTP, and no answer to a message


class Gone(Exception):  # noqa: N818
    """The conversation is over."""


class Hostile:
    def __init__(self, acts: list[str], share: float, seed: int, *, pipelining: bool, after: int) -> None:
        self.acts, self.share, self.after = acts, share, after
        self.dice = random.Random(seed)
        self.pipelining = pipelining
        self.did: Counter[str] = Counter()
        self.fates: dict[str, str] = defaultdict(str)
        self.nameless_refusals = 0
        self.message_count = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = (Gone, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError)
        with contextlib.suppress(*ends):
            await Conversation(self, reader, writer).run()
        writer.close()

    def mischief(self, points: tuple[str, ...], share: float) -> tuple[str, str]:
        """(point, act) of one message or connection; ("", "") in most."""
        if self.message_count < self.after or self.dice.random() >= share:
            return "", ""
        open_acts = [act for act in self.acts if self.did[act] < AT_MOST.get(act, 10**9)]
        choices = [(point, act) for act in open_acts for point in ACTS[act] if point in points]
        return self.dice.choice(choices) if choices else ("", "")

    def report(self) -> dict:
        return {"fates": self.fates, "did": self.did, "nameless": self.nameless_refusals}


class Conversation:
    def __init__(self, sink: Hostile, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sink, self.reader, self.writer = sink, reader, writer
        self.recipient = ""
        self.point = self.act = ""

    async def run(self) -> None:
        self.point, self.act = self.sink.mischief(("connect", "EHLO"), CONNECTION_SHARE)
        await self.answer("connect", "220 hostile")
        while line := await self.reader.readline():
            verb = line[:4].upper().decode("latin-1").strip()
            match verb:
                case "EHLO":
                    words = ["hostile", *["PIPELINING"] * self.sink.pipelining, "8BITMIME"]
                    await self.answer("EHLO", *[f"250 {word}" for word in words])
                case "MAIL":
                    await self.transaction()
                case "RSET":
                    await self.say("250 Ok")
                case "QUIT":
                    await self.say("221 Bye")
                    return
                case _:
                    await self.say("503 5.5.1 Bad sequence")

    async def transaction(self) -> None:
        """From MAIL, which was read, to the answer to the message or the first refusal."""
        self.recipient = ""
        self.point, self.act = self.sink.mischief((*COMMANDS, "body", "END", "after"), self.sink.share)
        sent_at_once = self.sink.pipelining and b"RCPT" in self.ahead()
        if self.point == "MAIL" and sent_at_once:
            self.recipient = _address(bytes(self.ahead()))
        if not await self.answer("MAIL", "250 2.1.0 Ok"):
            return
        line = await self.reader.readline()
        if not line.upper().startswith(b"RCPT"):
            raise Gone
        self.recipient = _address(line)
        refused = not await self.answer("RCPT", "250 2.1.5 Ok")
        line = await self.reader.readline()
        if refused and line.upper().startswith(b"RSET"):
            await self.say("250 Ok")
            return
        if not line.upper().startswith(b"DATA"):
            raise Gone
        if refused and self.sink.dice.random() < 0.5:
            await self.say("554 5.5.1 No valid recipients")
            return
        if not await self.answer("DATA", "354 Go on"):
            return
        await self.body(refused=refused)

    def ahead(self) -> bytes:
        return bytes(self.reader._buffer)

    async def body(self, *, refused: bool) -> None:
        first = await self.reader.readexactly(3)
        if self.point == "body":
            self.note("B")
            await self.misbehave("body")
        if first != b".\r\n":
            await self.reader.readuntil(b"\r\n.\r\n")
        if refused or first == b".\r\n":
            await self.say("554 5.5.1 No valid recipients")
            return
        self.sink.message_count += 1
        await self.answer("END", "250 2.0.0 Ok")
        if self.point == "after":
            await self.misbehave("after")

    async def answer(self, point: str, *lines: str) -> bool:
        """Answer a command as planned. Returns whether the good answer was given."""
        if self.point == point and not await self.misbehave(point):
            return False
        if point == "END":
            self.note("A")
        await self.say(*lines)
        return True

    async def misbehave(self, point: str) -> bool:
        """Do the planned mischief. True: the good answer follows all the same. Raises: Gone."""
        act, dice = self.act, self.sink.dice
        self.sink.did[act] += 1
        match act:
            case "hang":
                await asyncio.sleep(dice.uniform(0.2, 3.0))
                return True
            case "4xx":
                self.note("T")
                await self.say(dice.choice(LATER))
                return False
            case "5xx":
                self.note("R")
                await self.say(dice.choice(NEVER[point]))
                return False
            case "refuse":
                self.note("T")
                await self.say("530 5.7.0 Authentication required")
                return False
            case "421":
                self.note("T")
                await self.say("421 4.3.2 Going down")
                raise Gone
        said = dice.choice([*GARBAGE, MISFIT] if point == "END" else GARBAGE) if act == "garbage" else b""
        if point == "END":
            self.note("T" if said == MISFIT else "D")
        if act == "silence":
            await asyncio.sleep(SILENCE_SECONDS)
        if said:
            self.writer.write(said)
            with contextlib.suppress(TimeoutError):  # some clients hang up, for others it is half a line
                await asyncio.wait_for(self.reader.read(), 1.0)
        if act == "close" and dice.random() < 0.5:
            self.writer.transport.abort()
        raise Gone

    def note(self, letter: str) -> None:
        if self.recipient:
            self.sink.fates[self.recipient] += letter
        elif letter == "R":
            self.sink.nameless_refusals += 1

    async def say(self, *lines: str) -> None:
        """One reply, now and then in several lines or pieces."""
        code, odd = lines[0][:3], self.sink.dice.random() < ODD_SHARE
        texts = [line[4:] for line in lines] + (["and more"] if odd and len(lines) == 1 else [])
        *head, last = texts
        octets = "".join([*[f"{code}-{text}\r\n" for text in head], f"{code} {last}\r\n"]).encode()
        if odd:
            cut = self.sink.dice.randrange(1, len(octets))
            self.writer.write(octets[:cut])
            await asyncio.sleep(0.01)
            octets = octets[cut:]
        self.writer.write(octets)
        await self.writer.drain()


def _address(octets: bytes) -> str:
    return octets.partition(b"TO:<")[2].partition(b">")[0].decode()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--acts", default="", help="of " + ", ".join(ACTS))
    parser.add_argument("--share", type=float, default=0.03, help="of messages that meet one of them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--after", type=int, default=0, help="good messages before it begins")
    parser.add_argument("--lock-step", action="store_true", help="offer no PIPELINING")
    options = parser.parse_args()
    acts = [act for act in options.acts.split(",") if act]
    sink = Hostile(acts, options.share, options.seed, pipelining=not options.lock_step, after=options.after)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0, limit=BODY_LIMIT, backlog=256)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await stop.wait()
    server.close()
    print(json.dumps(sink.report()), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
