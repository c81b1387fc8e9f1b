"""What came back and names no message of ours: the newest are kept."""

import time
from typing import Final

from django.db import connection

MOST: Final = 1_000  # of a workspace
EVERY_SECONDS: Final = 60.0
TRIM: Final = """
DELETE FROM delivery_stray WHERE id IN (
  SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY workspace_id ORDER BY key DESC) AS place
                    FROM delivery_stray) AS placed WHERE place > %s)
"""
_next = 0.0


def trim() -> None:
    """For the clock; keys begin with the time."""
    global _next
    if time.monotonic() < _next:
        return
    _next = time.monotonic() + EVERY_SECONDS
    with connection.cursor() as cursor:
        cursor.execute(TRIM, [MOST])
