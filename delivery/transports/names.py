"""How a message of ours is called towards an ESP, so that what comes back of it finds its recipient.

Opaque, since several ESPs put it into a header that everybody can read. Where an ESP takes metadata with each
message it holds {KEY: name_of(…)}; where it takes none, the message has the tag of its mailing and the address
says who it was.
"""

import re
from typing import Final

KEY: Final = "volley"  # in the metadata
_NAME: Final = re.compile(r"(\d{1,18})-(\d{1,9})", re.ASCII)
_TAG: Final = re.compile(r"volley-(\d{1,18})", re.ASCII)


def name_of(mailing_id: int, number: int) -> str:
    """Such as "7-5": the mailing, and the recipient's number in it."""
    return f"{mailing_id}-{number}"


def read_name(text: object) -> tuple[int, int] | None:
    """(mailing id, number) of a name; None where it is none of ours."""
    found = _NAME.fullmatch(str(text))
    return (int(found[1]), int(found[2])) if found else None


def tag_of(mailing_id: int) -> str:
    """Such as "volley-7"."""
    return f"volley-{mailing_id}"


def read_tag(text: object) -> int | None:
    """The mailing id of a tag; None where it is none of ours."""
    found = _TAG.fullmatch(str(text))
    return int(found[1]) if found else None
