"""`make bench-hooks`: how fast webhooks' events are read and applied, and that their order and repetition change nothing.

Prints one JSON line. Half of the events come as SendGrid sends them, 500 a
call, half as Mailgun does, one a call. They are applied in their order; then all of them once more in random order,
by which nothing may change; then, from the beginning, in random order, by which the state must be the same.
"""

import argparse
import io
import json
import os
import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

from django.db import connection  # noqa: E402

from accounts.queue import redis_client  # noqa: E402
from bench import world  # noqa: E402
from contacts.models import List  # noqa: E402
from delivery.feedback import drain, stream  # noqa: E402
from delivery.hooks import calls, entries, setup  # noqa: E402
from delivery.models import Mailing, SendingAccount  # noqa: E402
from delivery.secrets import seal  # noqa: E402
from delivery.transports import names  # noqa: E402
from tests.fake_esp import webhooks  # noqa: E402
from tests.fake_esp.hooks import mailgun, sendgrid  # noqa: E402
from tests.fake_esp.webhooks import Message, event  # noqa: E402

# Of a thousand events, as a campaign has them that goes well. Few unsubscribe at the provider: the messages' own links
# and headers lead to us.
SHARES = {
    "delivered": 622, "opened": 250, "clicked": 85, "bounced": 10, "soft_bounced": 20, "blocked": 10, "complained": 2,
    "unsubscribed": 1,
}  # fmt: skip
LEDGER = """
INSERT INTO delivery_delivery (mailing_id, number, contact_id, email, state, attempt_count, settled_at, code, server_said,
                               provider_id)
SELECT %s, row_number() OVER (ORDER BY id), id, email, 'accepted', 1, now(), '', '', '' FROM contacts_contact
 WHERE workspace_id = %s
"""
STATE = {
    "events": "SELECT count(*), md5(string_agg(key::text || kind || number || is_machine, '' ORDER BY key)) "
    "FROM delivery_event WHERE workspace_id = %(workspace)s",
    "ledger": "SELECT md5(string_agg(concat_ws(',', number, state, feedback, feedback_at, delivered_at, "
    "opened_at, clicked_at, unsubscribed_at IS NOT NULL), ';' ORDER BY number)) "
    "FROM delivery_delivery WHERE mailing_id = %(mailing)s",
    "mailing": "SELECT to_jsonb(m) - 'progress_at' FROM delivery_mailing m WHERE id = %(mailing)s",
    "suppressed": "SELECT md5(string_agg(email || reason, ',' ORDER BY email)) FROM contacts_suppression "
    "WHERE workspace_id = %(workspace)s",
    "subscriptions": "SELECT md5(string_agg(contact_id || status, ',' ORDER BY contact_id)) FROM contacts_subscription "
    "WHERE workspace_id = %(workspace)s",
}
AFRESH = """
DELETE FROM delivery_event WHERE workspace_id = %(workspace)s;
DELETE FROM delivery_stray WHERE workspace_id = %(workspace)s;
DELETE FROM contacts_suppression WHERE workspace_id = %(workspace)s;
UPDATE contacts_subscription SET status = 'subscribed' WHERE workspace_id = %(workspace)s AND status <> 'subscribed';
UPDATE delivery_delivery SET feedback = '', feedback_at = NULL, delivered_at = NULL, opened_at = NULL, clicked_at = NULL,
       unsubscribed_at = NULL, "left" = NULL WHERE mailing_id = %(mailing)s
"""
COUNTERS = [
    field.name
    for field in Mailing._meta.fields
    if field.name.endswith(("_count", "_total")) and field.name not in ("total_count", "accepted_count")
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument(
        "--calls", type=int, default=1_000, help="calls that are taken as the web process does"
    )
    options = parser.parse_args()
    with world.of_its_own():
        print(json.dumps({"bench": "hooks", **a_run(options.events, options.calls)}))


def a_run(count: int, call_count: int) -> dict[str, object]:
    people = max(count * SHARES["delivered"] // sum(SHARES.values()), 1)
    workspace = world.workspace_with_contacts(people)
    accounts = {provider: an_account(workspace, provider) for provider in ("mailgun", "sendgrid")}
    sender = accounts["mailgun"][0]
    mailing = Mailing.objects.create(
        workspace=workspace,
        name="Bench",
        account=sender,
        content={},
        list_ids=[List.objects.get(workspace=workspace).pk],
        total_count=people,
        accepted_count=people,
        state="finished",
    )
    with connection.cursor() as cursor:
        cursor.execute(LEDGER, [mailing.pk, workspace.pk])
        cursor.execute("ANALYZE delivery_delivery")
    ids = {"workspace": workspace.pk, "mailing": mailing.pk}
    made = the_calls(mailing, people, count, accounts)
    figures: dict[str, object] = {
        "events": count,
        "calls": len(made),
        **taken(accounts["mailgun"], mailing, call_count),
    }
    cpu = time.process_time()
    seconds, first = applied(made, ids)
    figures["events_per_second"] = round(count / seconds)
    figures["worker_cpu_us_per_event"] = round((time.process_time() - cpu) / count * 1e6)
    shuffled = made[:]
    random.Random(1).shuffle(shuffled)
    again_seconds, again = applied(shuffled, ids)
    figures["repeated_per_second"] = round(count / again_seconds)
    afresh(ids)
    seconds, other = applied(shuffled, ids)
    figures["shuffled_per_second"] = round(count / seconds)
    figures["same_after_repetition"] = again == first
    figures["same_in_any_order"] = other == first
    return figures


def an_account(workspace, provider):
    key = webhooks.new_key(provider)
    account = SendingAccount.objects.create(
        workspace=workspace, name=provider, provider=provider, hook=seal(dict(key.known))
    )
    return account, key


def the_calls(mailing, people, count, accounts) -> list[bytes]:
    """As they stand in the stream, in the order of their time."""
    draw = random.Random(7)
    began = datetime.now(UTC) - timedelta(hours=1)
    kinds = [kind for kind, share in SHARES.items() for _ in range(share)]
    told: dict[str, list] = {"mailgun": [], "sendgrid": []}
    for n in range(count):
        kind = kinds[n % len(kinds)]
        number = 1 + (n // len(kinds) * SHARES["delivered"] + n % SHARES["delivered"]) % people
        provider = "mailgun" if n % 2 else "sendgrid"
        message = Message(
            provider,
            f"m-{number}",
            f"person{number}@example.com",
            metadata={names.KEY: names.name_of(mailing.pk, number)},
        )
        at = began + timedelta(seconds=draw.random() * 3000)
        told[provider].append(event(kind, message, at))
    made = []
    for provider, module in (("mailgun", mailgun), ("sendgrid", sendgrid)):
        account, _ = accounts[provider]
        events, a_call = told[provider], 500 if provider == "sendgrid" else 1
        for start in range(0, len(events), a_call):
            payloads = [module.payload(each) for each in events[start : start + a_call]]
            body = (
                payloads
                if provider == "sendgrid"
                else {"signature": {"token": uuid.uuid4().hex}, "event-data": payloads[0]}
            )
            made.append((events[start].at, packed(account.pk, json.dumps(body).encode())))
    return [data for _, data in sorted(made, key=lambda each: each[0])]


def packed(account_id: int, body: bytes) -> bytes:
    request = SimpleNamespace(headers={}, META={"CONTENT_TYPE": "application/json"}, body=body)
    return entries.packed(account_id, time.time(), request)


def taken(account_and_key, mailing, count) -> dict[str, object]:
    """What one thread of a web process takes: signature, replay, and the way into Redis."""
    account, key = account_and_key
    message = Message(
        "mailgun", "x", "person1@example.com", metadata={names.KEY: names.name_of(mailing.pk, 1)}
    )
    posts = webhooks.posts("mailgun", [event("delivered", message) for _ in range(count)], key)
    path = setup.address_of(account).partition("//")[2]
    path = path[path.index("/") :]
    times, cpu = [], time.process_time()
    for post in posts:
        began = time.perf_counter()
        answer = calls.take(environ(path, post))
        times.append(time.perf_counter() - began)
        assert answer.status == 200
    redis_client().delete("volley:in:hook")
    times.sort()
    return {
        "calls_taken_per_second": round(count / sum(times)),
        "call_cpu_ms": round((time.process_time() - cpu) / count * 1000, 2),
        "answer_p99_ms": round(times[int(count * 0.99)] * 1000, 1),
    }


def environ(path, post):
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_TYPE": post.headers["Content-Type"],
        "CONTENT_LENGTH": str(len(post.body)),
        "wsgi.input": io.BytesIO(post.body),
    }


def applied(made: list[bytes], ids: dict[str, int]) -> tuple[float, dict[str, object]]:
    """(seconds for putting and applying them, what the database says then)"""
    began = time.monotonic()
    for start in range(0, len(made), 1000):
        stream.put(entries.STREAM, *made[start : start + 1000])
    while stream.waiting(entries.STREAM):
        drain.drain(entries.STREAM)
    return time.monotonic() - began, state(ids)


def state(ids: dict[str, int]) -> dict[str, object]:
    found = {}
    with connection.cursor() as cursor:
        for name, query in STATE.items():
            cursor.execute(query, ids)
            found[name] = cursor.fetchone()
    return found


def afresh(ids: dict[str, int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(AFRESH, ids)
    Mailing.objects.filter(pk=ids["mailing"]).update(**dict.fromkeys(COUNTERS, 0))


if __name__ == "__main__":
    main()
