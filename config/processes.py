"""The process manager: each line of the Procfile, begun again when it ends unasked.

`python -m config.processes` runs them all, `python -m config.processes send clock` those named. Honcho starts,
prints and ends them; left to itself it would end all of them when one is killed.
"""

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
END_SECONDS = (
    10.0  # a command that is told to end, and what it leaves running, have so long; then they are killed
)
POLL_SECONDS = 0.2  # how often a watcher looks whether all are to end
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
        # No Event: setting one waits for whoever waits for it, also for a process that has died of that.
        self._ending = multiprocessing.RawValue("b", 0)
        self._process_ctor = self._kept

    def _kept(self, cmd: str, **options: Any) -> "_Kept":
        return _Kept(cmd, ending=self._ending, **options)

    def terminate(self) -> None:
        """Let each watcher end its own command; honcho would only tell those whose start it has read of already."""
        self._ending.value = 1


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
        self._manager = os.getppid()
        pause, is_first = FIRST_PAUSE, True
        while True:
            began = time.monotonic()
            code = self._run_once()
            lasted = time.monotonic() - began
            if self._is_ending() or (is_first and lasted < START_SECONDS and _failed(code)):
                break
            pause = FIRST_PAUSE if lasted > STEADY_SECONDS or is_first else min(pause * 2, LONGEST_PAUSE)
            is_first = False
            self._send_message(f"ended (rc={code}); it begins again in {pause:g} s\n".encode())
            if self._is_ending(within_seconds=pause):
                break
        self._send_message({"returncode": code}, type="stop")

    def _run_once(self) -> int:
        """Run the command to its end. What its death leaves running (a pool's workers) is told to end, too."""
        child = Popen(self.cmd, env=self.env, cwd=self.cwd)
        self._send_message({"pid": child.pid}, type="start")
        threading.Thread(target=self._end_with_all, args=(child,), daemon=True).start()
        printer = threading.Thread(target=self._print, args=(child.stdout,), daemon=True)
        printer.start()
        code: int = child.wait()
        _end_group(child.pid)
        printer.join(1.0)  # an orphan that still ends holds the pipe
        return code

    def _end_with_all(self, child: Popen) -> None:
        """End it when all are to end: nobody else would."""
        while child.returncode is None:
            if self._is_ending(within_seconds=POLL_SECONDS):
                _end_group(child.pid)
                break

    def _is_ending(self, *, within_seconds: float = 0) -> bool:
        """Whether all are to end, or the manager has ended, however that was."""
        deadline = time.monotonic() + within_seconds
        while not self._ending.value and os.getppid() == self._manager:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        if os.getppid() != self._manager:
            self._events.cancel_join_thread()  # nobody reads them any more
        return True

    def _print(self, output: Any) -> None:
        for line in iter(output.readline, b""):
            self._send_message(line)


def _do_nothing(*_: object) -> None:
    """For a signal; what is started would inherit SIG_IGN, yet no handler."""


def _end_group(pid: int) -> None:
    """Let all of the group end, and kill what does not: granian's workers hear no SIGTERM while they start."""
    deadline = time.monotonic() + END_SECONDS
    is_there = _tell_group(pid, signal.SIGTERM)
    while is_there and time.monotonic() < deadline:
        time.sleep(0.05)
        is_there = _tell_group(pid, 0)
    if is_there:
        _tell_group(pid, signal.SIGKILL)


def _tell_group(pid: int, number: int) -> bool:
    """Returns: whether there was anybody to tell."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):  # the latter: macOS, of one that has ended
        return False
    return True


def _failed(code: int) -> bool:
    """By itself: neither told to end nor killed (by a signal, or above 128 in the shell's words)."""
    return 0 < code <= 128


if __name__ == "__main__":
    sys.exit(main())
