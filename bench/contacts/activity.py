"""What the people of a bench were sent and did: twelve monthly mailings to a quarter of them each, and events."""

from django.db import connection

from accounts.models import Workspace
from contacts.models import Contact
from delivery.models import Mailing, MailingState, SendingAccount

MAILINGS = 12
EVENTS_A_CONTACT = 5

DELIVERIES = """
INSERT INTO delivery_delivery (mailing_id, number, contact_id, email, state, attempt_count, code, server_said,
                               provider_id, settled_at)
SELECT m.id, row_number() OVER (PARTITION BY m.id ORDER BY c.id), c.id, c.email,
       CASE WHEN c.id %% 50 = 0 THEN 'rejected' ELSE 'accepted' END, 1, '', '', '', m.created_at
  FROM contacts_contact c JOIN delivery_mailing m ON m.workspace_id = c.workspace_id AND (c.id - m.id) %% 4 = 0
 WHERE c.workspace_id = %s
"""
# Skewed as people are: the first tenth does a third of it. One in five is a click, one in ten a machine's.
EVENTS = """
INSERT INTO delivery_event (workspace_id, key, kind, at, mailing_id, contact_id, is_machine, why_machine, url)
SELECT %(workspace)s,
       (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || substr(md5(n::text), 1, 20))::uuid,
       CASE WHEN n %% 5 = 0 THEN 'clicked' ELSE 'opened' END, at, (%(mailings)s::bigint[])[1 + month],
       %(first)s
         + floor(%(contacts)s * power(('x' || substr(md5('c' || n), 1, 8))::bit(32)::bigint / 4294967296.0, 2))::bigint,
       n %% 10 = 3, CASE WHEN n %% 10 = 3 THEN 'data center' ELSE '' END,
       CASE WHEN n %% 5 = 0 THEN 'https://shop.example/offer/' || n %% 10 ELSE '' END
  FROM (SELECT n, n * 12 / (%(events)s + 1) AS month,
               now() - interval '360 days' + n * (interval '360 days' / %(events)s) AS at
          FROM generate_series(1::bigint, %(events)s) AS n) AS numbered
"""


def add_activity(workspace: Workspace, contacts: int) -> None:
    """Mailings, their ledgers, and five events a contact over the last 360 days."""
    account = SendingAccount.objects.create(
        workspace=workspace, name="Sink", provider="smtp", is_default=True
    )
    mailings = Mailing.objects.bulk_create(
        Mailing(
            workspace=workspace,
            name=f"Month {month + 1}",
            account=account,
            content={},
            frame={"tracking": {"opens": True, "clicks": True}},
            state=MailingState.FINISHED,
        )
        for month in range(MAILINGS)
    )
    ids = [each.pk for each in mailings]
    first = Contact.objects.of(workspace).order_by("pk").values_list("pk", flat=True)[0]
    values = {
        "workspace": workspace.pk,
        "mailings": ids,
        "first": first,
        "contacts": contacts,
        "events": contacts * EVENTS_A_CONTACT,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE delivery_mailing SET created_at = now() - interval '30 days' * (%s - id), "
            "progress_at = now() - interval '30 days' * (%s - id) WHERE id = ANY(%s)",
            [ids[-1] + 1, ids[-1] + 1, ids],
        )
        cursor.execute(DELIVERIES, [workspace.pk])
        cursor.execute(EVENTS, values)
        cursor.execute("VACUUM ANALYZE delivery_delivery, delivery_event")
