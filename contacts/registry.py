"""What higher rooms tell this one, filled in their `AppConfig.ready()`."""

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accounts.models import Workspace
from contacts import masking
from contacts.models import Contact, List, Segment

if TYPE_CHECKING:
    from contacts.segments.condition import Condition
    from contacts.segments.vocabulary import Vocabulary

# Each gives the names of what still needs the segment, such as a scheduled campaign; it is then not deleted.
segment_uses: list[Callable[[Segment], list[str]]] = []
# Each gives those of the contacts, by id, that its room has to do with, such as by a message to them.
contact_uses: list[Callable[[list[int]], set[int]]] = []

# Each gives conditions that segments can be made of, such as who opened what; see contacts.segments.condition.
conditions: "list[Callable[[Vocabulary], list[Condition]]]" = []


@dataclass(frozen=True)
class TimelineEntry:
    """What happened to a contact. icon, tone: Tabler's names ("mail", "green"). label: a badge's word.

    kind: a key of `contacts.queries.timeline.KINDS`.
    """

    at: datetime.datetime
    icon: str
    title: str
    detail: str = ""
    tone: str = "secondary"
    label: str = ""
    kind: str = "message"


# Each gives what its room knows of the contact before a moment (None: of all times), newest first: the number asked
# for at most, and never fewer while there are more.
timeline: list[Callable[[Contact, datetime.datetime | None, int], list[TimelineEntry]]] = []


@dataclass(frozen=True)
class Person:
    """Who is to be erased. contact_ids: their own, and of those that were merged into them.

    emails: in lower case. spellings: these, and as they were written.
    """

    workspace: Workspace
    contact_ids: list[int]
    emails: list[str]
    spellings: list[str]
    first_name: str
    last_name: str

    @property
    def pattern(self) -> str:
        """What finds address and name in other texts; for `contacts.masking.mask`."""
        return masking.pattern(self.emails, self.first_name, self.last_name)


# Each gives the addresses by which its room knows the contacts of these ids, besides those of today.
addresses: list[Callable[[list[int]], set[str]]] = []
# Each counts the messages that its room has sent to a contact.
message_counts: list[Callable[[Contact], int]] = []
# Each takes what its room holds on the person away, in the transaction of the erasure, while the contact is there.
erase: list[Callable[[Person], None]] = []
# Each gives its room's sections of everything held on a contact: {title: rows}, each row a dict for JSON.
person_file: list[Callable[[Contact], dict[str, Iterable[dict[str, Any]]]]] = []
# Each gives the contact that stays what its room holds on the one that goes, in the merge's transaction. What stays
# behind under the id of the one that goes is found by `FormerContact`.
merge: list[Callable[[Contact, Contact], None]] = []

# Each says whether something is being done now that long jobs are to give way to.
is_busy: list[Callable[[], bool]] = []
# Each is told the id of a list on which somebody has just become unconfirmed, inside that transaction.
on_unconfirmed: list[Callable[[int], None]] = []


@dataclass(frozen=True)
class WayOn:
    """A marketer's way on from a list or a segment. icon: Tabler's name.

    is_quiet: below the heading, where it is no daily deed.
    """

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
list_links: list[Callable[[List], list[WayOn]]] = []
# Asked for one contact's page; a query or two each.
contact_links: list[Callable[[Contact], list[WayOn]]] = []
# Asked for one segment's page.
segment_links: list[Callable[[Segment], list[WayOn]]] = []
# Each gives the names of what is going to reach the list's people, such as a scheduled campaign.
list_uses: list[Callable[[List], list[str]]] = []
# Each gives what its room has to say of one list; a query or two each.
list_notes: list[Callable[[List], list[ListNote]]] = []
list_facts: list[Callable[[List], list[ListFact]]] = []
