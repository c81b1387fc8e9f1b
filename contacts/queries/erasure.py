"""Who was erased, and so may not come back by a file."""

from collections.abc import Iterable

from accounts.models import Workspace


def has_any(workspace: Workspace) -> bool:
    """Whether anybody was ever erased in it."""
    return False


def refused_addresses(workspace: Workspace, emails: Iterable[str]) -> set[str]:
    """Of the addresses, in lower case, those of people who were erased."""
    return set()
