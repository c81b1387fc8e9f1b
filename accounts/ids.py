"""Ids of the database as addresses and forms hold them: text that anybody may have typed."""

from typing import Final

DIGITS: Final = 18  # of the largest id that is always a bigint
SHORT_DIGITS: Final = 9  # and of four bytes


def id_in(text: str | None, *, digits: int = DIGITS) -> int | None:
    """The id that the text holds, and nothing else; None where it cannot be one."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= digits else None
