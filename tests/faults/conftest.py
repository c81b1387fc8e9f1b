"""One whole Volley for the faults of a file."""

import pytest

from tests.volley import Volley


@pytest.fixture(scope="module")
def volley():
    running = Volley(LOG_LEVEL="WARNING")
    yield running
    running.stop()
