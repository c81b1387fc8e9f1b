"""The workspace that is measured: contacts with ten attributes, all on one list."""

from django.db import connection

from accounts.models import Workspace
from bench.world import NAME, SUBSCRIPTIONS
from contacts.models import CustomField, List

FIELDS = {
    "city": "text", "street": "text", "zip": "text", "company": "text", "language": "text",
    "points": "number", "orders": "number", "born": "date", "member": "boolean", "last_order": "date",
}  # fmt: skip
CONTACTS = """
INSERT INTO contacts_contact (workspace_id, email, first_name, last_name, attributes, created_at, updated_at)
SELECT %s, 'person' || n || '@' || (ARRAY['gmail.com', 'example.com', 'mail.example.org'])[1 + n %% 3],
       (ARRAY['Zoë', 'Anna', 'Tom', 'José', 'Kim'])[1 + n %% 5], 'Example ' || n,
       jsonb_build_object(
         'city', (ARRAY['Berlin', 'Lyon', 'Porto', 'Oslo', 'Turin'])[1 + n %% 5], 'street', n %% 999 || ' High Street',
         'zip', lpad((n %% 99999)::text, 5, '0'), 'company', 'Company ' || n %% 5000,
         'language', (ARRAY['de', 'fr', 'pt', 'en'])[1 + n %% 4], 'points', n %% 1000, 'orders', n %% 37,
         'born', to_char(date '1950-01-01' + n %% 20000, 'YYYY-MM-DD'), 'member', n %% 3 = 0,
         'last_order', to_char(date '2024-01-01' + n %% 700, 'YYYY-MM-DD')),
       now() - make_interval(mins => n %% 500000), now()
  FROM generate_series(1, %s) AS n
"""


def a_workspace(count: int) -> Workspace:
    workspace = Workspace.objects.create(name=NAME, postal_address="1 High Street, 12345 Springfield")
    for key, kind in FIELDS.items():
        CustomField.objects.create(workspace=workspace, key=key, label=key.title(), type=kind)
    everyone = List.objects.create(workspace=workspace, name="Everyone")
    with connection.cursor() as cursor:
        cursor.execute(CONTACTS, [workspace.pk, count])
        cursor.execute(SUBSCRIPTIONS, [everyone.pk, workspace.pk])
        cursor.execute("VACUUM ANALYZE contacts_contact, contacts_subscription")
    return workspace
