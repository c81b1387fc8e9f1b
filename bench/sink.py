"""A sink for SMTP: takes every message, counts each recipient, and prints the counts as JSON when it is ended.

For the bench where no `smtp-sink` of postfix is installed or a slow server is wanted, and for tests.
`python -m bench.sink --port 2525 --late 50`; with --times it prints when each message came instead.
"""

import argparse
import asyncio
import json
import signal
import time
from collections import Counter, defaultdict

from bench.line import Later


class Sink(asyncio.Protocol):
    """One connection; understands just enough of RFC 5321 and 2920."""

    late = 0.0  # seconds from a command to its answer
    received: Counter[str] = Counter()
    times: dict[str, list[float]] = defaultdict(list)  # by time.monotonic(), which is one for all processes
    keeps_times = False

    def connection_made(self, transport):
        self.transport = transport
        self.out = Later(transport, self.late) if self.late else transport
        self.buffer = bytearray()
        self.in_data = False
        self.recipient = ""
        self.answers = bytearray(b"220 sink\r\n")
        self._answer()

    def data_received(self, data):
        self.buffer += data
        while self._step():
            pass
        self._answer()

    def _answer(self):
        """All answers to what came together in one write, as servers do (RFC 2920 §3.2)."""
        if self.answers:
            self.out.write(bytes(self.answers))
            self.answers.clear()

    def _step(self):
        if self.in_data:
            end = self.buffer.find(b"\r\n.\r\n")
            if end < 0:
                return False
            del self.buffer[: end + 5]
            self.in_data = False
            self._take()
            self.answers += b"250 2.0.0 Ok\r\n"
            return True
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        self._command(line)
        return True

    def _take(self):
        if self.keeps_times:
            self.times[self.recipient].append(round(time.monotonic(), 4))
        else:
            self.received[self.recipient] += 1

    def _command(self, line):
        verb = line[:4].upper()
        if verb == b"EHLO":
            self.answers += b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
        elif verb == b"DATA":
            self.in_data = True
            self.answers += b"354 Go on\r\n"
        elif verb == b"QUIT":
            self.answers += b"221 Bye\r\n"
            self._answer()
            if self.late:
                self.out.write(None)
            else:
                self.transport.close()
        else:
            if verb == b"RCPT":
                self.recipient = line.partition(b"<")[2].partition(b">")[0].decode()
            self.answers += b"250 Ok\r\n"


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(Sink, "127.0.0.1", port, backlog=256)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await stop.wait()
    server.close()
    print(json.dumps(Sink.times if Sink.keeps_times else Sink.received), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--late", type=float, default=0, help="milliseconds from each command to its answer")
    parser.add_argument("--times", action="store_true", help="print when each message came")
    options = parser.parse_args()
    Sink.late, Sink.keeps_times = options.late / 1000, options.times
    asyncio.run(serve(options.port))
