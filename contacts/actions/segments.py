"""Saving, copying and deleting segments."""

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import User, Workspace, record
from contacts import registry
from contacts.models import Segment
from contacts.segments.rules import read
from contacts.segments.vocabulary import Vocabulary


class NameTaken(Refusal):
    code = "name_taken"
    status = 409


class InUse(Refusal):
    code = "in_use"
    status = 409


def create(workspace: Workspace, *, name: str, rules: Any, by: User) -> Segment:
    """Save a new segment.

    Raises: RulesProblem: a rule makes no sense. NameTaken: another segment has the name, whatever its case.
    """
    with _unique_name(name), transaction.atomic(durable=True):
        stored = Vocabulary.of(workspace).checked(read(rules))
        segment = Segment.objects.create(workspace=workspace, name=name, rules=stored)
        record(by, "segment.created", segment)
    return segment


def change(segment: Segment, *, name: str, rules: Any, by: User) -> None:
    """Save the segment with another name or other rules.

    Raises: RulesProblem, NameTaken: as when it is created.
    """
    with _unique_name(name), transaction.atomic(durable=True):
        stored = Vocabulary.of(segment.workspace).checked(read(rules))
        Segment.objects.filter(pk=segment.pk).update(name=name, rules=stored, updated_at=timezone.now())
        record(by, "segment.changed", segment)


def duplicate(segment: Segment, *, by: User) -> Segment:
    """A copy under the first free name: "Berliners (copy)", "Berliners (copy 2)"."""
    base = segment.name[:100]
    with _unique_name(base), transaction.atomic(durable=True):
        copies = Segment.objects.of(segment.workspace).filter(name__istartswith=f"{base} (copy")
        taken = {name.casefold() for name in copies.values_list("name", flat=True)}
        names = (f"{base} (copy{f' {number}' if number > 1 else ''})" for number in range(1, len(taken) + 2))
        name = next(name for name in names if name.casefold() not in taken)
        copy = Segment.objects.create(workspace=segment.workspace, name=name, rules=segment.rules)
        record(by, "segment.created", copy)
    return copy


@transaction.atomic(durable=True)
def delete(segment: Segment, *, by: User) -> None:
    """Delete the segment; its people stay.

    Raises: InUse: something still needs it, and would silently go to other people without it.
    """
    uses = [name for ask in registry.segment_uses for name in ask(segment)]
    if uses:
        more = f" and {len(uses) - 3} more" if len(uses) > 3 else ""
        named = ", ".join(f"“{name}”" for name in uses[:3])
        raise InUse(f"{named}{more} still uses this segment. Take it out there first.")
    record(by, "segment.deleted", segment)
    segment.delete()


class _unique_name:  # noqa: N801  (reads as a function)
    """Turn the database's word that a name is taken into ours."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        if isinstance(error, IntegrityError) and "one_segment_per_name" in str(error):
            raise NameTaken(f"There is a segment “{self.name}” already. Choose another name.") from None
