"""What can be done with the mailboxes that bounces arrive in: made, changed, tested, read, deleted."""

import contextlib
import datetime
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import User, Workspace, record
from accounts.queue import enqueue, leaving
from delivery.bounces.letter import What
from delivery.bounces.protocols import CannotRead, Post, opened
from delivery.bounces.returned import Came, Returned
from delivery.bounces.take import take
from delivery.models import Mailbox
from delivery.secrets import SecretsLost, seal, unseal

JOB: Final = "delivery.jobs.read_mailbox"
QUEUE: Final = "events"
EVERY: Final = datetime.timedelta(minutes=1)
AFTER_TROUBLE: Final = datetime.timedelta(minutes=5)
LEASE: Final = datetime.timedelta(minutes=10)  # far longer than a turn; a dead worker's ends with it
TURN_SECONDS: Final = 10.0  # other events wait meanwhile; what is left is for the next turn
REACHED_BY: Final = ("protocol", "host", "port", "security", "user", "tenant", "client_id", "folder")
AT_ONCE, BYTES_AT_ONCE = 50, 8_000_000  # messages held in memory and written together


class MailboxKnown(Refusal):
    code = "mailbox_known"
    status = 409


@dataclass(frozen=True)
class Values:
    """What a person typed. fields: of the mailbox. password: "" keeps the one it has."""

    fields: dict[str, Any]
    password: str


@transaction.atomic(durable=True)
def create(*, workspace: Workspace, values: Values, by: User) -> Mailbox:
    """Make one, which is read from now on. Raises: MailboxKnown: the workspace reads it already."""
    with _once():
        mailbox = Mailbox.objects.create(
            workspace=workspace, secrets=seal({"password": values.password}), **values.fields
        )
    record(by, "mailbox.created", mailbox)
    return mailbox


@transaction.atomic(durable=True)
def update(mailbox: Mailbox, *, values: Values, by: User) -> None:
    """Change what was typed; another mailbox or folder is read from its beginning. Raises: MailboxKnown.

    Where anything of how it is reached has changed, its last test says nothing.
    """
    changed: dict[str, Any] = dict(values.fields)
    if values.password or any(getattr(mailbox, name) != changed[name] for name in REACHED_BY):
        changed |= {"tested_at": None, "test_said": ""}
    if values.password:
        changed["secrets"] = seal({"password": values.password})
    if any(getattr(mailbox, name) != changed[name] for name in ("protocol", "host", "user", "folder")):
        changed["place"] = {}
    with _once():
        Mailbox.objects.filter(pk=mailbox.pk).update(**changed, due_at=timezone.now(), trouble="")
    record(by, "mailbox.changed", mailbox)


@contextlib.contextmanager
def _once() -> Any:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise MailboxKnown("This mailbox and folder are read already.") from error


@transaction.atomic(durable=True)
def delete(mailbox: Mailbox, *, by: User) -> None:
    """Read it no more; what lies in it stays there."""
    record(by, "mailbox.deleted", mailbox)
    mailbox.delete()


def has_password(mailbox: Mailbox) -> bool:
    try:
        return bool(unseal(mailbox.secrets))
    except SecretsLost:
        return False


def test(mailbox: Mailbox) -> str:
    """Sign in and look into the folder; talks to the server for up to some minutes, and reads nothing.

    Returns: "" when it can be read, else what is wrong, in words; kept on the mailbox.
    """
    said = ""
    try:
        with opened(mailbox) as post:
            post.waiting()
    except (CannotRead, SecretsLost) as error:
        said = str(error)
    mailbox.tested_at, mailbox.test_said = timezone.now(), said
    Mailbox.objects.filter(pk=mailbox.pk).update(tested_at=mailbox.tested_at, test_said=said)
    return said


def read_soon(mailbox: Mailbox) -> None:
    """At the clock's next tick, unless a worker reads it right now."""
    Mailbox.objects.filter(pk=mailbox.pk).update(due_at=timezone.now())


def hold(why: str) -> None:
    """Read none by itself: of a copied database, whose original reads and deletes the same messages."""
    Mailbox.objects.update(due_at=None, trouble=why)


def ask_workers() -> None:
    """Queue the mailboxes whose turn it is; for the clock."""
    now = timezone.now()
    due = list(Mailbox.objects.filter(due_at__lte=now).values_list("pk", flat=True)[:100])
    for pk in due:
        if Mailbox.objects.filter(pk=pk, due_at__lte=now).update(due_at=now + EVERY):
            enqueue(JOB, queue=QUEUE, mailbox_id=pk)


def read_mailbox(mailbox_id: int) -> int:
    """Read what waits, as much as fits into a turn. Returns: messages. Safe to run twice, also at once."""
    mailbox = _claimed(mailbox_id)
    if mailbox is None:
        return 0
    count, is_through, trouble = 0, True, ""
    try:
        with opened(mailbox) as post:
            count, is_through = _turn(mailbox, post)
    except (CannotRead, SecretsLost) as error:
        trouble = str(error)
    now = timezone.now()
    pause = AFTER_TROUBLE if trouble else EVERY if is_through else datetime.timedelta()
    Mailbox.objects.filter(pk=mailbox_id).update(
        leased_until=None, read_at=now, trouble=trouble, due_at=now + pause
    )
    return count


def _claimed(mailbox_id: int) -> Mailbox | None:
    now = timezone.now()
    free = Mailbox.objects.filter(Q(leased_until=None) | Q(leased_until__lt=now), pk=mailbox_id)
    if not free.update(leased_until=now + LEASE):
        return None
    return Mailbox.objects.get(pk=mailbox_id)


def _turn(mailbox: Mailbox, post: Post) -> tuple[int, bool]:
    """Messages read, and whether none is left."""
    until, waiting, count = time.monotonic() + TURN_SECONDS, post.waiting(), 0
    while waiting and time.monotonic() < until and not leaving.is_set():
        uids: list[str] = []
        sources: list[bytes] = []
        while waiting and len(uids) < AT_ONCE and sum(map(len, sources)) < BYTES_AT_ONCE:
            uids.append(waiting.pop(0))
            sources.append(post.fetch(uids[-1]))
            if time.monotonic() >= until:
                break  # of a slow server: what is there is written, before it is hung up on
        _write(mailbox, post, uids, sources)
        count += len(uids)
    return count, not waiting


def _write(mailbox: Mailbox, post: Post, uids: Sequence[str], sources: Sequence[bytes]) -> None:
    """Write down what they say; only then touch them on the server, and only then remember that they were read."""
    results = take([Came(source, mailbox.workspace_id, mailbox.created_at) for source in sources])
    understood = [uid for uid, result in zip(uids, results, strict=True) if is_understood(result)]
    post.put_away(uids, understood)
    counts = Counter(map(_counter, results))
    Mailbox.objects.filter(pk=mailbox.pk).update(
        place=post.place, **{name: F(name) + count for name, count in counts.items()}
    )


def is_understood(result: Returned) -> bool:
    """Whether all that it says is written down, so that it may go."""
    return result.is_ours and (result.what is not What.OTHER or result.leaver is not None)


def _counter(result: Returned) -> str:
    if result.leaver:
        return "leave_count"
    if not result.is_ours or result.what is What.OTHER:
        return "other_count"
    return {What.BOUNCE: "bounce_count", What.COMPLAINT: "complaint_count"}.get(result.what, "notice_count")
