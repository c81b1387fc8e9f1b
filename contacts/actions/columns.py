"""Choosing the columns of a table of contacts, everybody for themselves."""

from collections.abc import Iterable
from typing import Final

from accounts.actions import keep_columns
from accounts.errors import Refusal
from accounts.models import Membership
from contacts.queries.columns import MOST, offered

TOO_MANY: Final = f"A table shows at most {MOST} columns beside the e-mail. Take some away."


class TooManyColumns(Refusal):
    code = "too_many_columns"
    status = 422


def choose(membership: Membership, *, table: str, names: Iterable[str]) -> None:
    """Show these, for this member alone, of all that the table offers; names of nothing are passed over.

    Raises: TooManyColumns.
    """
    wanted = set(names)
    kept = [each.name for each in offered(membership.workspace, table) if each.name in wanted]
    if len(kept) > MOST:
        raise TooManyColumns(TOO_MANY)
    keep_columns(membership, table=table, names=kept)


def reset(membership: Membership, *, table: str) -> None:
    """Show the columns that the table comes with."""
    keep_columns(membership, table=table, names=None)
