"""What higher rooms tell this one, filled in their `AppConfig.ready()`."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from contacts.models import Contact, Segment

# Each gives the names of what still needs the segment, such as a scheduled campaign; it is then not deleted.
segment_uses: list[Callable[[Segment], list[str]]] = []
# Each gives those of the contacts, by id, that its room has to do with, such as by a message to them.
contact_uses: list[Callable[[list[int]], set[int]]] = []


@dataclass(frozen=True)
class TimelineEntry:
    """What happened to a contact. icon, tone: Tabler's names ("mail", "green"). label: a badge's word."""

    at: datetime.datetime
    icon: str
    title: str
    detail: str = ""
    tone: str = "secondary"
    label: str = ""


# Each gives what its room knows of the contact, newest first, some fifty entries at most.
timeline: list[Callable[[Contact], list[TimelineEntry]]] = []
