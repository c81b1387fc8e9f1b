"""A long line: a TCP proxy on loopback that delivers everything late, and lets any amount be under way.

`python -m bench.line --to PORT --ms 10` prints the port it listens on; a round trip through it takes 2 × 10 ms
more. Nothing is held up by what was sent before it: each piece is delivered that long after it came.
"""

import argparse
import asyncio
import json
from collections import deque


class Later:
    """What is written comes out `seconds` later, in the same order. `write(None)` ends the connection."""

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        self._transport, self._seconds = transport, seconds
        self._under_way: deque[bytes | None] = deque()
        self._loop = asyncio.get_running_loop()

    def write(self, octets: bytes | None) -> None:
        self._under_way.append(octets)
        # Whichever timer comes first takes the oldest: timers of one instant come in no order.
        self._loop.call_later(self._seconds, self._deliver)

    def _deliver(self) -> None:
        octets = self._under_way.popleft()
        if octets is None:
            self._transport.close()
        else:
            self._transport.write(octets)


class End(asyncio.Protocol):
    """One end of a connection; what it receives goes to the other end."""

    def __init__(self, seconds: float, other: "End | None" = None) -> None:
        self.seconds, self.other = seconds, other
        self.early: list[bytes | None] = []  # what came before the other end was there
        self.out: Later | None = None

    def connection_made(self, transport):
        self.out = Later(transport, self.seconds)
        if self.other:
            for octets in self.other.early:
                self.out.write(octets)
            self.other.other = self

    def data_received(self, data):
        self._pass_on(data)

    def connection_lost(self, error):
        self._pass_on(None)

    def _pass_on(self, octets):
        if self.other and self.other.out:
            self.other.out.write(octets)
        else:
            self.early.append(octets)


class Near(End):
    """The sender's end; it opens the far one."""

    def __init__(self, seconds: float, to_port: int) -> None:
        super().__init__(seconds)
        self.to_port = to_port

    def connection_made(self, transport):
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        opening = loop.create_connection(lambda: End(self.seconds, self), "127.0.0.1", self.to_port)
        self.opening = loop.create_task(opening)
        self.opening.add_done_callback(lambda done: done.exception() and transport.close())


async def serve(to_port: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Near(seconds, to_port), "127.0.0.1", 0, backlog=256)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=int, required=True, help="the port everything is passed on to")
    parser.add_argument("--ms", type=float, default=10, help="milliseconds, each way")
    options = parser.parse_args()
    asyncio.run(serve(options.to, options.ms / 1000))
