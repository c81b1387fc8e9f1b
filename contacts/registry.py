"""What higher rooms tell this one, filled in their `AppConfig.ready()`."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from contacts.models import Contact, List, Segment

# Each gives the names of what still needs the segment, such as a scheduled campaign; it is then not deleted.
segment_uses: list[Callable[[Segment], list[str]]] = []


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

# Each says whether something is being done now that long jobs are to give way to.
is_busy: list[Callable[[], bool]] = []
# Each is told the id of a list on which somebody has just become unconfirmed, inside that transaction.
on_unconfirmed: list[Callable[[int], None]] = []


@dataclass(frozen=True)
class ListLink:
    """A marketer's way on from a list. icon: Tabler's name. is_quiet: below the heading, where it is no daily deed."""

    label: str
    icon: str
    url: str
    is_quiet: bool = False


@dataclass(frozen=True)
class ListNote:
    """What a list's page says above its people, and the page that mends it. tone: Tabler's name."""

    text: str
    tone: str = "warning"
    url: str = ""
    action: str = ""


@dataclass(frozen=True)
class ListFact:
    """What a higher room knows of the list, in a line."""

    label: str
    text: str
    url: str = ""


# Asked for every row of the lists' page, so without a query.
list_links: list[Callable[[List], list[ListLink]]] = []
# Each gives the names of what is going to reach the list's people, such as a scheduled campaign.
list_uses: list[Callable[[List], list[str]]] = []
# Each gives what its room has to say of one list; a query or two each.
list_notes: list[Callable[[List], list[ListNote]]] = []
list_facts: list[Callable[[List], list[ListFact]]] = []
