"""The bare ceiling: one prebuilt message sent over and over, pipelined, with nothing else done.

What any sender in Python could reach at most on this machine, to this server, with as many processes and
connections. `python -m bench.ceiling --host H --port P --kb 20 --messages N --lanes 4` prints one JSON line.
"""

import argparse
import json
import socket
import threading
import time

ENVELOPE = b"MAIL FROM:<bench@volley.example>\r\nRCPT TO:<person@example.com>\r\nDATA\r\n"
LINE = b"The quick brown fox jumps over the lazy dog, over and over again, for a line.\r\n"


def connect(host: str, port: int) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    read(connection, 1)
    connection.sendall(b"EHLO bench\r\n")
    while not _is_last_line(connection.recv(4096)):
        pass
    return connection


def _is_last_line(octets: bytes) -> bool:
    return octets.endswith(b"\r\n") and octets.splitlines()[-1][3:4] == b" "


def read(connection: socket.socket, replies: int) -> None:
    """Read until so many one-line replies have come."""
    while replies > 0:
        octets = connection.recv(4096)
        if not octets:
            raise ConnectionError("the server closed the connection")
        replies -= octets.count(b"\n")


def lane(host: str, port: int, body: bytes, count: int) -> None:
    """Send count messages, each in one write with the next one's envelope."""
    connection = connect(host, port)
    connection.sendall(ENVELOPE)
    read(connection, 3)
    for _ in range(count - 1):
        connection.sendall(body + ENVELOPE)
        read(connection, 4)
    connection.sendall(body)
    read(connection, 1)
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kb", type=int, default=20)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--lanes", type=int, default=4)
    options = parser.parse_args()
    body = b"Subject: Ceiling\r\n\r\n" + LINE * (options.kb * 1024 // len(LINE)) + b".\r\n"
    share = options.messages // options.lanes
    lanes = [
        threading.Thread(target=lane, args=(options.host, options.port, body, share))
        for _ in range(options.lanes)
    ]
    began = time.monotonic()
    for each in lanes:
        each.start()
    for each in lanes:
        each.join()
    seconds = time.monotonic() - began
    print(json.dumps({"messages": share * options.lanes, "seconds": round(seconds, 3)}))


if __name__ == "__main__":
    main()
