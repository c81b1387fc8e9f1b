"""How a long job gives way to campaigns: while one is being sent it rests most of the time.

Else it keeps a backend of the database at work without a pause, which on a small machine takes a campaign a good part
of its pace; how much it then gets, `bench.contacts sending` tells.
"""

import time
from typing import Final

from contacts import registry

REST: Final = 3.0  # seconds for each one of work: the job then takes a fourth of a core at most
LONGEST_REST_SECONDS: Final = 10.0  # far less than the silence after which a run is taken for dead


class Shift:
    """The work of one job, from its making on. Call `rest` between two steps, outside of a transaction."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def rest(self) -> float:
        """Sleep in proportion to the work since the last rest, if anything is being sent. Returns the seconds."""
        worked = time.monotonic() - self._began
        seconds = min(REST * worked, LONGEST_REST_SECONDS) if any(ask() for ask in registry.is_busy) else 0.0
        time.sleep(seconds)
        self._began = time.monotonic()
        return seconds
