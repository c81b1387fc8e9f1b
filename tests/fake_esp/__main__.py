"""python -m tests.fake_esp [--port 8025] [--delay 0.05] [--keep]: until it is ended; prints where it listens."""

import argparse
import gc
import json
import signal
import threading

from tests.fake_esp.server import FakeEsp

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--port", type=int, default=0, help="0: any free one")
parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
parser.add_argument("--keep", action="store_true", help="keep the messages; otherwise only count them")
given = parser.parse_args()
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
signal.signal(signal.SIGINT, lambda *_: ended.set())
gc.set_threshold(200_000, 50, 50)  # thousands of small objects a call, none of them in a cycle
with FakeEsp(port=given.port, delay=given.delay, keeps=given.keep) as fake:
    print(f"http://127.0.0.1:{fake.port}/", flush=True)
    ended.wait()
    print(json.dumps(fake.counted()))
