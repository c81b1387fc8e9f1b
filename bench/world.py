"""A workspace to measure in: any number of contacts, and a newsletter of any size."""

from django.db import connection

from accounts.models import Workspace
from contacts.models import List
from delivery.content import Content

NAME = "Bench of Volley"

CONTACTS = """
INSERT INTO contacts_contact (workspace_id, email, first_name, last_name, attributes, created_at, updated_at)
SELECT %s, 'person' || n || '@example.com', (ARRAY['Zoë', 'Anna', 'Tom', 'José'])[1 + n %% 4], 'Example ' || n,
       jsonb_build_object('city', (ARRAY['Berlin', 'Lyon', 'Porto'])[1 + n %% 3], 'points', n %% 1000),
       now(), now()
  FROM generate_series(1, %s) AS n
"""
SUBSCRIPTIONS = """
INSERT INTO contacts_subscription (workspace_id, contact_id, list_id, status, consent_source, unsubscribe_source, created_at)
SELECT workspace_id, id, %s, 'subscribed', 'Bench', '', now() FROM contacts_contact WHERE workspace_id = %s
"""


def workspace_with_contacts(count: int) -> Workspace:
    workspace = Workspace.objects.create(name=NAME, postal_address="1 High Street, 12345 Springfield")
    everyone = List.objects.create(workspace=workspace, name="Everyone")
    with connection.cursor() as cursor:
        cursor.execute(CONTACTS, [workspace.pk, count])
        cursor.execute(SUBSCRIPTIONS, [everyone.pk, workspace.pk])
        cursor.execute("ANALYZE contacts_contact, contacts_subscription")
    return workspace


def clear() -> None:
    """Remove every workspace of earlier runs, table by table."""
    statements = (
        "DELETE FROM delivery_delivery WHERE mailing_id IN (SELECT id FROM delivery_mailing WHERE workspace_id = ANY(%s))",
        "DELETE FROM delivery_batch WHERE mailing_id IN (SELECT id FROM delivery_mailing WHERE workspace_id = ANY(%s))",
        "DELETE FROM contacts_subscription WHERE workspace_id = ANY(%s)",
        "DELETE FROM delivery_mailing WHERE workspace_id = ANY(%s)",
        "DELETE FROM contacts_contact WHERE workspace_id = ANY(%s)",
    )
    mine = list(Workspace.objects.filter(name=NAME).values_list("pk", flat=True))
    with connection.cursor() as cursor:
        for statement in statements if mine else ():
            cursor.execute(statement, [mine])
    Workspace.objects.filter(pk__in=mine).delete()


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
