"""A sink for SMTP: takes every message, counts each recipient, and prints the counts as JSON when it is ended.

For the bench where no `smtp-sink` of postfix is installed, and for tests. `python -m bench.sink --port 2525`.
"""

import argparse
import asyncio
import json
import signal
from collections import Counter


class Sink(asyncio.Protocol):
    """One connection; understands just enough of RFC 5321 and 2920."""

    received: Counter[str] = Counter()

    def connection_made(self, transport):
        self.transport = transport
        self.buffer = bytearray()
        self.in_data = False
        self.recipient = ""
        transport.write(b"220 sink\r\n")

    def data_received(self, data):
        self.buffer += data
        while self._step():
            pass

    def _step(self):
        if self.in_data:
            end = self.buffer.find(b"\r\n.\r\n")
            if end < 0:
                return False
            del self.buffer[: end + 5]
            self.in_data = False
            self.received[self.recipient] += 1
            self.transport.write(b"250 2.0.0 Ok\r\n")
            return True
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        self._command(line)
        return True

    def _command(self, line):
        verb = line[:4].upper()
        if verb == b"EHLO":
            self.transport.write(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
        elif verb == b"DATA":
            self.in_data = True
            self.transport.write(b"354 Go on\r\n")
        elif verb == b"QUIT":
            self.transport.write(b"221 Bye\r\n")
            self.transport.close()
        else:
            if verb == b"RCPT":
                self.recipient = line.partition(b"<")[2].partition(b">")[0].decode()
            self.transport.write(b"250 Ok\r\n")


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(Sink, "127.0.0.1", port, backlog=256)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await stop.wait()
    server.close()
    print(json.dumps(Sink.received), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    asyncio.run(serve(parser.parse_args().port))
