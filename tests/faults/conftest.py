"""One whole Volley for the faults of a run."""

import pytest

from tests.volley import Volley


@pytest.fixture(scope="package")
def volley():
    running = Volley(LOG_LEVEL="WARNING")
    yield running
    running.stop()
