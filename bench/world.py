"""A workspace to measure in: any number of contacts, a way out, and a newsletter of any size, sent to its end."""

import contextlib
import fcntl
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence

import django_rq
from django.db import connection, transaction

from accounts.models import Workspace
from config import embedded
from contacts.importing import stage
from contacts.models import Contact, List
from delivery import actions
from delivery.content import Content
from delivery.domains import keys
from delivery.models import Mailing, SendingAccount, SendingDomain

NAME = "Bench of Volley"
END_SECONDS = 3600
# What belongs to a workspace and is not tied to it by a foreign key.
LOOSE_TABLES = (
    "contacts_importbefore",
    "contacts_listchange",
    "contacts_segmentmember",
    "delivery_delivery",
    "delivery_event",
    "delivery_hourtally",
    "delivery_inboxmessage",
    "delivery_linktally",
)

CONTACTS = """
INSERT INTO contacts_contact (workspace_id, email, first_name, last_name, attributes, created_at, updated_at)
SELECT %s, 'person' || n || '@' || CASE WHEN %s = 1 THEN '' ELSE 'd' || n %% %s || '.' END || 'example.com',
       (ARRAY['Zoë', 'Anna', 'Tom', 'José'])[1 + n %% 4], 'Example ' || n,
       jsonb_build_object('city', (ARRAY['Berlin', 'Lyon', 'Porto'])[1 + n %% 3], 'points', n %% 1000),
       now(), now()
  FROM generate_series(1, %s) AS n
"""
SUBSCRIPTIONS = """
INSERT INTO contacts_subscription (workspace_id, contact_id, list_id, status, consent_source, unsubscribe_source, created_at)
SELECT workspace_id, id, %s, 'subscribed', 'Bench', '', now() FROM contacts_contact WHERE workspace_id = %s
"""


@contextlib.contextmanager
def of_its_own() -> Iterator[None]:
    """Nothing of earlier benches in the database and nothing in Redis; what this one made goes again.

    One at a time in a VOLLEY_VAR: each empties what another would be using, so the next one waits.
    """
    if os.environ.get("DATABASE_URL") or os.environ.get("REDIS_URL"):
        raise SystemExit(
            "The bench empties its Redis and fills its database: unset DATABASE_URL and REDIS_URL."
        )
    with (embedded.VAR / "bench.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        clear()
        django_rq.get_connection("send").flushdb()
        try:
            yield
        finally:
            clear()


def workspace_with_contacts(count: int, *, domains: int = 1) -> Workspace:
    """domains: over how many receiving domains they are spread."""
    workspace = Workspace.objects.create(name=NAME, postal_address="1 High Street, 12345 Springfield")
    everyone = List.objects.create(workspace=workspace, name="Everyone")
    with connection.cursor() as cursor:
        cursor.execute(CONTACTS, [workspace.pk, domains, domains, count])
        cursor.execute("ANALYZE contacts_contact")  # before subscriptions are checked against it
        cursor.execute(SUBSCRIPTIONS, [everyone.pk, workspace.pk])
        cursor.execute("ANALYZE contacts_subscription")
    return workspace


def an_account(workspace: Workspace, address: str, lanes: int, **limits: float) -> SendingAccount:
    """address: "host:port". limits: as SendingAccount has them."""
    host, _, port = address.rpartition(":")
    settings = {"host": host, "port": int(port), "security": "none", "user": ""}
    return SendingAccount.objects.create(
        workspace=workspace,
        name="Sink",
        provider="smtp",
        settings=settings,
        lanes=lanes,
        is_default=True,
        **limits,
    )


def a_signing_domain(workspace: Workspace) -> None:
    """That of the newsletter's sender, its key in use."""
    domain = SendingDomain.objects.create(workspace=workspace, name="volley.example")
    key = keys.make(domain)
    key.signs_from = key.created_at
    key.save()


def launch(
    account: SendingAccount, *, kb: int, at_most: int | None = None, per_second: float | None = None
) -> Mailing:
    """Send the newsletter to everybody of the account's workspace, or to so many of them, at a pace of its own."""
    contacts = Contact.objects.filter(workspace=account.workspace)
    if at_most:
        contacts = contacts.filter(
            pk__in=list(contacts.order_by("pk").values_list("pk", flat=True)[:at_most])
        )
    with transaction.atomic():
        mailing = actions.launch(
            workspace=account.workspace,
            name="Bench",
            account=account,
            content=a_newsletter(kb),
            recipients=contacts,
            list_ids=[],
        )
        actions.set_pace(mailing, per_second=per_second)
    return mailing


def wait_for_end(
    mailing: Mailing, workers: Sequence[subprocess.Popen], *, seconds: float = END_SECONDS
) -> None:
    wait_until(mailing, workers, lambda: mailing.state != "sending", seconds=seconds)


def wait_until(
    mailing: Mailing,
    workers: Sequence[subprocess.Popen],
    is_so: Callable[[], bool],
    *,
    seconds: float = END_SECONDS,
) -> None:
    """Read the mailing's state and counters again and again until that is so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        mailing.refresh_from_db(fields=["state", "accepted_count", "finished_at"])
        if is_so():
            return
        if any(process.poll() is not None for process in workers):
            raise SystemExit("A worker ended.")
        time.sleep(0.05)
    raise SystemExit("The mailing did not get there.")


def clear() -> None:
    """Empty every table that belongs to a workspace, at a cost that does not rise with what is in it.

    Deleting instead took longer than what was measured: each row of millions looks for others that refer to it, an
    import's steps come through Python, and what is left is dead rows in every table and index.
    """
    if Workspace.objects.exclude(name=NAME).exists():
        raise SystemExit(
            "The bench empties its database, and this one has workspaces: set VOLLEY_VAR to a folder."
        )
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE accounts_workspace, {', '.join(LOOSE_TABLES)} CASCADE")
    for import_id in stage.leftovers():
        stage.drop(import_id)


def a_newsletter(kilobytes: int) -> Content:
    """HTML of about that size with ten links and five merge tags, and a text part."""
    greeting = "<p>Dear {{ contact.first_name | default: 'friend' }} {{ contact.last_name }} of {{ contact.city }},</p>\n"
    links = "".join(
        f'<p><a href="https://shop.example/offer/{n}?from=mail">Offer {n}</a></p>\n' for n in range(10)
    )
    foot = "<p>You have {{ contact.points }} points. <a href='{{ unsubscribe_url }}'>Unsubscribe</a></p>\n"
    filler = "<p>" + "The quick brown fox jumps over the lazy dog. " * 10 + "</p>\n"
    size = kilobytes * 1024 - len(greeting) - len(links) - len(foot)
    html = greeting + links + (filler * (size // len(filler) + 1))[: max(size, 0)] + "\n" + foot
    text = "Dear {{ contact.first_name | default: 'friend' }},\n\nread it in HTML.\n\nUnsubscribe: {{ unsubscribe_url }}\n"
    return Content("News for {{ contact.first_name }}", html, text, "Bench", "bench@volley.example")
