"""Names that each may stand once in a workspace, whatever their case: of lists, of segments."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError

from accounts.errors import Refusal


class NameTaken(Refusal):
    code = "name_taken"
    status = 409


@contextmanager
def unique_name(thing: str, name: str) -> Iterator[None]:
    """Turn the database's word that a name is taken into ours. thing: "list" or "segment".

    Raises: NameTaken.
    """
    try:
        yield
    except IntegrityError as error:
        if f"one_{thing}_per_name" not in str(error):
            raise
        raise NameTaken(f"There is a {thing} “{name}” already. Choose another name.") from None
