"""The process manager: each line of the Procfile, begun again when it ends unasked.

`python -m config.processes` runs them all, `python -m config.processes send clock` those named. Honcho starts,
prints and ends them; left to itself it would end all of them when one is killed.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from honcho import environ
from honcho.manager import Manager
from honcho.process import Popen, Process

PROCFILE = Path(__file__).resolve().parent.parent / "Procfile"
# Whoever fails so soon after the first start cannot run here (a port in use): that ends all.
START_SECONDS = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before it is begun again; twice as long each time
STEADY_SECONDS = 60.0  # whoever ran for so long begins again after the first pause


def main() -> int:
    manager = _Manager()
    lines = environ.parse_procfile(PROCFILE.read_text()).processes
    names = sys.argv[1:] or list(lines)
    binaries = Path(sys.executable).parent
    path = f"{binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}"  # also when not started by make
    for each in environ.expand_processes({name: lines[name] for name in names}, env=dict(os.environ)):
        manager.add_process(each.name, each.cmd, quiet=each.quiet, env=each.env | {"PATH": path})
    manager.loop()
    return int(manager.returncode or 0)


class _Manager(Manager):
    def __init__(self) -> None:
        super().__init__()
        self._ending = multiprocessing.Event()
        self._process_ctor = self._kept

    def _kept(self, cmd: str, **options: Any) -> "_Kept":
        return _Kept(cmd, ending=self._ending, **options)

    def terminate(self) -> None:
        self._ending.set()
        super().terminate()


class _Kept(Process):
    """One command, in the watcher process that honcho gives each."""

    def __init__(self, cmd: str, *, ending: Any, **options: Any) -> None:
        super().__init__(cmd, **options)
        self._ending = ending

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:  # noqa: FBT001, FBT002  (honcho's)
        self._events = events
        if ignore_signals:  # the command is told to end, and its watcher follows
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, _do_nothing)
        pause, is_first = FIRST_PAUSE, True
        while True:
            began = time.monotonic()
            code = self._run_once()
            lasted = time.monotonic() - began
            if self._ending.is_set() or (is_first and lasted < START_SECONDS and _failed(code)):
                break
            pause = FIRST_PAUSE if lasted > STEADY_SECONDS or is_first else min(pause * 2, LONGEST_PAUSE)
            is_first = False
            self._send_message(f"ended (rc={code}); it begins again in {pause:g} s\n".encode())
            if self._ending.wait(pause):
                break
        self._send_message({"returncode": code}, type="stop")

    def _run_once(self) -> int:
        """Run the command to its end. What its death leaves running (a pool's workers) is told to end, too."""
        child = Popen(self.cmd, env=self.env, cwd=self.cwd)
        self._send_message({"pid": child.pid}, type="start")
        if self._ending.is_set():  # said so between two lives, to the one before
            _end_group(child.pid)
        printer = threading.Thread(target=self._print, args=(child.stdout,), daemon=True)
        printer.start()
        code: int = child.wait()
        _end_group(child.pid)
        printer.join(1.0)  # an orphan that still ends holds the pipe
        return code

    def _print(self, output: Any) -> None:
        for line in iter(output.readline, b""):
            self._send_message(line)


def _do_nothing(*_: object) -> None:
    """For a signal; what is started would inherit SIG_IGN, yet no handler."""


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGTERM)


def _failed(code: int) -> bool:
    """By itself: neither told to end nor killed (by a signal, or above 128 in the shell's words)."""
    return 0 < code <= 128


if __name__ == "__main__":
    sys.exit(main())
