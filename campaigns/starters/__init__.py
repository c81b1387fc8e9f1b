"""Content to begin with: well-made MJML that a marketer changes to their own."""

from pathlib import Path
from typing import Final, NamedTuple


class Starter(NamedTuple):
    key: str
    label: str
    description: str


STARTERS: Final = [
    Starter("newsletter", "Newsletter", "A greeting, a lead story with a button, and two shorter ones."),
    Starter("announcement", "Announcement", "One piece of news, large, with one button."),
    Starter("letter", "Letter", "Plain words from one person to another, with hardly any design."),
]


def source(key: str) -> str:
    """The starter's MJML.

    Raises: KeyError: there is no such starter.
    """
    if key not in {starter.key for starter in STARTERS}:
        raise KeyError(key)
    return (Path(__file__).parent / f"{key}.mjml").read_text(encoding="utf-8")
