"""Saving, copying, freezing and deleting segments."""

from datetime import timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Value
from django.utils import timezone

from accounts.errors import Refusal, WrongState
from accounts.models import User, Workspace, record
from accounts.queue import enqueue
from contacts import registry, segments
from contacts.actions.names import unique_name
from contacts.models import Segment, SegmentKind
from contacts.queries import segments as queries
from contacts.segments.rules import RulesProblem, read
from contacts.segments.vocabulary import Vocabulary

SNAPSHOT_JOB: Final = "contacts.jobs.take_snapshot"
COUNT_JOB: Final = "contacts.jobs.count_segment"
# Counting what nobody looks at takes little: one segment a tick of the clock, each so often at most, and a count that
# takes longer is given up. Most take under a second of a million contacts.
COUNT_EVERY: Final = timedelta(hours=2)
COUNT_EVERY_WHILE_BUSY: Final = timedelta(hours=24)
COUNT_SECONDS: Final = 5.0
SILENCE: Final = timedelta(seconds=60)  # after which a snapshot whose job got lost is queued again
# One statement, 3–4 s for a million; two index entries a row and no foreign key checks.
MEMBERS: Final = "INSERT INTO contacts_segmentmember (segment_id, contact_id) {people}"


class InUse(Refusal):
    code = "in_use"
    status = 409


def create(workspace: Workspace, *, name: str, rules: Any, by: User) -> Segment:
    """Save a new segment.

    Raises: RulesProblem: a rule makes no sense. NameTaken: another segment has the name, whatever its case.
    """
    with unique_name("segment", name), transaction.atomic(durable=True):
        stored = _checked(workspace, rules)
        asked_at = timezone.now()
        segment = Segment.objects.create(
            workspace=workspace, name=name, rules=stored, count_asked_at=asked_at
        )
        record(by, "segment.created", segment)
        _count_soon(segment.pk)
    return segment


def change(segment: Segment, *, name: str, rules: Any, by: User) -> None:
    """Save the segment with another name or other rules.

    Raises: RulesProblem, NameTaken: as when it is created. WrongState: it is a snapshot.
    """
    with unique_name("segment", name), transaction.atomic(durable=True):
        stored = _checked(segment.workspace, rules, segment)
        now = timezone.now()
        changed = Segment.objects.filter(pk=segment.pk, kind=SegmentKind.RULES).update(
            name=name, rules=stored, updated_at=now, people_count=None, counted_at=None, count_asked_at=now
        )
        if not changed:
            raise WrongState("A snapshot has no rules; change the segment that it was taken from.")
        record(by, "segment.changed", segment)
        _count_soon(segment.pk)


def rename(segment: Segment, *, name: str, by: User) -> None:
    """Give it another name. Raises: NameTaken."""
    with unique_name("segment", name), transaction.atomic(durable=True):
        Segment.objects.filter(pk=segment.pk).update(name=name)
        record(by, "segment.changed", segment)


@transaction.atomic(durable=True)
def duplicate(segment: Segment, *, by: User) -> Segment:
    """A copy under the first free name: "Berliners (copy)", "Berliners (copy 2)".

    Raises: WrongState: it is a snapshot, of which there is one.
    """
    if segment.is_snapshot:
        raise WrongState("A snapshot cannot be copied; copy the segment that it was taken from.")
    _one_at_a_time(segment.workspace)
    name = _free_name(segment.workspace, segment.name, "copy")
    copy = Segment.objects.create(
        workspace=segment.workspace, name=name, rules=segment.rules, count_asked_at=timezone.now()
    )
    record(by, "segment.created", copy)
    _count_soon(copy.pk)
    return copy


@transaction.atomic(durable=True)
def freeze(segment: Segment, *, by: User) -> Segment:
    """A snapshot of who matches the rules as they are now, written by a job in some seconds.

    Raises: RulesProblem: the rules make no sense. WrongState: it is a snapshot already.
    """
    if segment.is_snapshot:
        raise WrongState("This is a snapshot already.")
    vocabulary = Vocabulary(segment.workspace)
    if problem := vocabulary.problem(segment.rules):
        raise RulesProblem(problem)
    _one_at_a_time(segment.workspace)
    day = vocabulary.clock.today.strftime("%-d %b %Y")
    snapshot = Segment.objects.create(
        workspace=segment.workspace,
        name=_free_name(segment.workspace, segment.name, day),
        kind=SegmentKind.SNAPSHOT,
        rules=segment.rules,
        taken_from=f"{segment.name}: {segments.in_words(segment.rules, vocabulary)}",
    )
    record(by, "segment.frozen", snapshot)
    enqueue(SNAPSHOT_JOB, queue="bulk", segment_id=snapshot.pk)
    return snapshot


@transaction.atomic(durable=True)
def take(segment_id: int) -> int:
    """Write a snapshot's members. Safe to run twice, or in two places: it is done once. Returns: how many."""
    waiting = Segment.objects.filter(pk=segment_id, kind=SegmentKind.SNAPSHOT, taken_at=None)
    snapshot = waiting.select_related("workspace").select_for_update(of=("self",), skip_locked=True).first()
    if snapshot is None:
        return 0
    found = segments.matching(snapshot.rules, snapshot.workspace).order_by()
    sql, parameters = found.values_list(Value(snapshot.pk), "pk").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(MEMBERS.format(people=sql), parameters)
        people: int = cursor.rowcount
        cursor.execute("ANALYZE contacts_segmentmember")  # else the next plan takes it for empty
    now = timezone.now()
    Segment.objects.filter(pk=snapshot.pk).update(
        taken_at=now, rules={}, people_count=people, counted_at=now, count_asked_at=now, updated_at=now
    )
    return people


def requeue_untaken() -> int:
    """Queue snapshots again whose job got lost; for the clock. Returns how many."""
    before = timezone.now() - SILENCE
    waiting = Segment.objects.filter(kind=SegmentKind.SNAPSHOT, taken_at=None, updated_at__lt=before)
    with transaction.atomic():
        # One that is being written is locked, and waited for by nobody.
        locked = waiting.select_for_update(no_key=True, skip_locked=True)
        found = list(locked.values_list("pk", flat=True))
        Segment.objects.filter(pk__in=found).update(updated_at=timezone.now())
        for pk in found:
            enqueue(SNAPSHOT_JOB, queue="bulk", segment_id=pk)
    return len(found)


def count(segment: Segment, *, seconds: float = queries.LIVE_SECONDS) -> queries.Count:
    """Count who is in it, and keep the figure where it is exact and the rules are still the same."""
    counted = queries.count(segments.within(segment), segment.workspace, seconds=seconds)
    if counted.matching and not counted.matching.about:
        _keep(segment, counted.matching.people)
    return counted


def count_kept(segment_id: int) -> int | None:
    """Count it for the list of segments. Returns: how many; None: that takes too long, or there is none."""
    segment = Segment.objects.select_related("workspace").filter(pk=segment_id).first()
    if segment is None or (segment.is_snapshot and segment.taken_at is None):
        return None
    people = queries.people_count(segment, seconds=COUNT_SECONDS)
    if people is not None:
        _keep(segment, people)
    return people


def count_next() -> int:
    """Have the segment counted whose last count was asked for longest ago; for the clock. Returns how many: 0 or 1.

    A job that got lost is asked for again when its turn comes next.
    """
    every = COUNT_EVERY_WHILE_BUSY if any(ask() for ask in registry.is_busy) else COUNT_EVERY
    due = Segment.objects.filter(count_asked_at__lt=timezone.now() - every).order_by("count_asked_at")
    with transaction.atomic():
        segment = due.select_for_update(no_key=True, skip_locked=True).first()
        if segment is None:
            return 0
        Segment.objects.filter(pk=segment.pk).update(count_asked_at=timezone.now())
        _count_soon(segment.pk)
    return 1


@transaction.atomic(durable=True)
def delete(segment: Segment, *, by: User) -> None:
    """Delete the segment; its people stay.

    Raises: InUse: something still needs it, and would silently go to other people without it.
    """
    _one_at_a_time(segment.workspace)
    uses = [name for ask in (queries.uses, *registry.segment_uses) for name in ask(segment)]
    if uses:
        more = f" and {len(uses) - 3} more" if len(uses) > 3 else ""
        named = ", ".join(f"“{name}”" for name in uses[:3])
        raise InUse(f"{named}{more} still uses this segment. Take it out there first.")
    record(by, "segment.deleted", segment)
    segment.delete()


def _count_soon(pk: int) -> None:
    enqueue(COUNT_JOB, queue="bulk", segment_id=pk)


def _keep(segment: Segment, people: int) -> None:
    """Keep the figure for lists of segments, where the rules are still those that were counted."""
    same = Segment.objects.filter(pk=segment.pk, rules=segment.rules)
    same.update(people_count=people, counted_at=timezone.now())


def _checked(workspace: Workspace, rules: Any, segment: Segment | None = None) -> dict[str, Any]:
    """The rules as they are stored. Raises: RulesProblem: one makes no sense, or would stand within itself."""
    group = read(rules)
    _one_at_a_time(workspace)
    stored = Vocabulary(workspace, edited=segment.pk if segment else None).checked(group)
    if segment and queries.inner(stored):
        _check_above(segment, stored)
    return stored


def _check_above(segment: Segment, rules: dict[str, Any]) -> None:
    """Whatever speaks of this segment still makes sense with the new rules. Raises: RulesProblem."""
    vocabulary = Vocabulary(segment.workspace)
    if segment.pk in vocabulary.segments:
        vocabulary.segments[segment.pk].rules = rules
    above, found = {segment.pk}, [segment]
    while found:
        found = [
            each
            for each in vocabulary.segments.values()
            if each.pk not in above and above & queries.inner(each.rules)
        ]
        above |= {each.pk for each in found}
        for each in found:
            if problem := vocabulary.problem(each.rules):
                raise RulesProblem(
                    f"“{each.name}” is made of this segment, and could not be any more: {problem}"
                )


def _one_at_a_time(workspace: Workspace) -> None:
    """Two at once could put each segment into the other, or take one away that is just being used."""
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)


def _free_name(workspace: Workspace, name: str, word: str) -> str:
    base = f"{name[:90]} ({word}"
    held = Segment.objects.of(workspace).filter(name__istartswith=base)
    taken = {name.casefold() for name in held.values_list("name", flat=True)}
    names = (f"{base}{f' {number}' if number > 1 else ''})" for number in range(1, len(taken) + 2))
    return next(name for name in names if name.casefold() not in taken)
