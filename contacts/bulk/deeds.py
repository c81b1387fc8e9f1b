"""All that can be done to many: what each does to a chunk of people, how it is undone, and what its counts mean."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from accounts.models import Role
from contacts.bulk import deletion, fields, lists, suppression, tags
from contacts.bulk.statements import Counts
from contacts.models import BulkAction, BulkChunk, BulkRun


@dataclass(frozen=True)
class Deed:
    """icon: Tabler's. do: changes the chunk's people in the transaction around, and keeps what was before.

    undo: gives back what is as it was written, and says of how many people; None: it cannot be undone.
    changed, unchanged, held: what the counts are called. asking: what to know before, undoing: what undoing does.
    """

    icon: str
    do: Callable[[BulkRun, BulkChunk], Counts]
    undo: Callable[[BulkRun, BulkChunk], int] | None
    changed: str
    unchanged: str
    asking: str
    held: str = ""
    undoing: str = ""
    lowest: Role = Role.MARKETER

    @property
    def has_way_back(self) -> bool:
        return self.undo is not None


DEEDS: Final[dict[str, Deed]] = {
    BulkAction.ADD_TO_LIST: Deed(
        "playlist-add",
        lists.add,
        lists.undo_add,
        "Added",
        "On it already",
        "Whoever left by themselves, has not confirmed yet or is suppressed is not added.",
        "Not added: they left by themselves, are suppressed or have not confirmed yet",
        "Those added are taken off again, except who left or gave consent anew since.",
    ),
    BulkAction.REMOVE_FROM_LIST: Deed(
        "playlist-x",
        lists.remove,
        lists.undo_remove,
        "Taken off",
        "Not on it",
        "They get no more mail for this list, and keep their record of consent.",
        undoing="Those taken off are on it again with their earlier consent, except who unsubscribed by themselves since.",
    ),
    BulkAction.ADD_TAGS: Deed(
        "tag",
        tags.add,
        tags.undo_add,
        "Tagged",
        "Had them already",
        "Whoever has one of the tags keeps it, and gets the others.",
        undoing="The tags that were new to somebody are removed.",
    ),
    BulkAction.REMOVE_TAGS: Deed(
        "tag-off",
        tags.remove,
        tags.undo_remove,
        "Changed",
        "Had none of them",
        "The tags themselves stay.",
        undoing="Everybody gets back the tags they had.",
    ),
    BulkAction.SET_FIELD: Deed(
        "forms",
        fields.put,
        fields.undo_put,
        "Changed",
        "Had it already",
        "Whatever stands in the field now is replaced.",
        undoing="Everybody gets back the earlier value, except who has another one since.",
    ),
    BulkAction.UNSUBSCRIBE: Deed(
        "user-minus",
        suppression.unsubscribe,
        suppression.undo_unsubscribe,
        "Unsubscribed",
        "Were unsubscribed and suppressed before",
        "They are taken off every list and their addresses suppressed: nothing is sent to them any more.",
        undoing="They are on their lists again and can be mailed, except who unsubscribed, complained or bounced since.",
    ),
    BulkAction.SUPPRESS: Deed(
        "ban",
        suppression.suppress,
        suppression.undo_suppress,
        "Suppressed",
        "Suppressed before",
        "Nothing is sent to these addresses any more, on whatever list they are. They stay on their lists.",
        undoing="Those newly suppressed can be mailed again, except who unsubscribed, complained or bounced since.",
    ),
    # Without a way back, and possibly of everybody: no marketer's.
    BulkAction.DELETE: Deed(
        "trash",
        deletion.delete,
        None,
        "Deleted",
        "Gone before",
        "Names, fields, tags and subscriptions with their record of consent are deleted for good. Suppressed addresses "
        "stay so. To stop writing to people and keep the record, unsubscribe them instead.",
        lowest=Role.ADMIN,
    ),
}
