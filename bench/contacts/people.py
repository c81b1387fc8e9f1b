"""The workspace that is measured, life-like in what searches and sorts depend on, and others beside it.

Names, domains and towns are as unevenly spread as people's are; lists run from a handful to everybody, one of them
of people who came first; some contacts have tags, some are suppressed. The numbers are the same in every run.
"""

from django.db import connection

from accounts.models import Workspace
from bench.world import NAME
from contacts.models import CustomField, List, Tag

FIELDS = {
    "city": "text", "street": "text", "zip": "text", "company": "text", "language": "text",
    "points": "number", "orders": "number", "born": "date", "member": "boolean", "last_order": "date",
}  # fmt: skip
# Beside it, as parts of its size: without them every statistic of a table would be one of this workspace.
OTHERS = (0.002, 0.02, 0.1)
# {name: (which contacts, of those numbered n from 1 to `count`)}
LISTS = {
    "Everyone": "true",
    "Half": "n %% 2 = 0",
    "Few": "n %% 500 = 7",  # 2,000 of a million
    "A handful": "n %% (1 + %(count)s / 20) = 3",
    "First customers": "n <= %(count)s / 20",  # the oldest, and all of them together
}
# Of 100 subscriptions 90 are subscribed, 7 unsubscribed and 3 unconfirmed.
SUBSCRIPTIONS = """
INSERT INTO contacts_subscription (workspace_id, contact_id, list_id, status, consent_source, unsubscribe_source, created_at)
SELECT %(workspace)s, id, %(list)s,
       CASE WHEN h < 90 THEN 'subscribed' WHEN h < 97 THEN 'unsubscribed' ELSE 'pending' END, 'Bench', '', now()
  FROM (SELECT id, row_number() OVER (ORDER BY id) AS n, (id * 7919 + %(list)s) %% 100 AS h
          FROM contacts_contact WHERE workspace_id = %(workspace)s) AS c
 WHERE {of_them} ORDER BY id
"""
# power(random(), 2.5) makes the first of an array some twenty times as frequent as the last.
CONTACTS = """
INSERT INTO contacts_contact
       (workspace_id, email, first_name, last_name, attributes, tag_ids, created_at, updated_at)
SELECT %(workspace)s,
       CASE WHEN a < 0.02 THEN 'info' WHEN a < 0.6 THEN lower(translate(first || '.' || last, 'äöüßéëø', 'aouseeo'))
            ELSE lower(translate(left(first, 1) || last, 'äöüßéëø', 'aouseeo')) END || n
       || '@' || CASE WHEN d < 0.62 THEN domain ELSE lower(translate(last, 'äöüßéëø', 'aouseeo')) || '-' || n %% 9973 || '.example' END,
       CASE WHEN b < 0.12 THEN '' ELSE first END, CASE WHEN b < 0.12 THEN '' ELSE last END,
       jsonb_build_object(
         'city', (ARRAY['Berlin', 'Lyon', 'Porto', 'Oslo', 'Turin'])[1 + n %% 5], 'street', n %% 999 || ' High Street',
         'zip', lpad((n %% 99999)::text, 5, '0'), 'company', 'Company ' || n %% 5000,
         'language', (ARRAY['de', 'fr', 'pt', 'en'])[1 + n %% 4], 'points', n %% 1000, 'orders', n %% 37,
         'born', to_char(date '1950-01-01' + n %% 20000, 'YYYY-MM-DD'), 'member', n %% 3 = 0,
         'last_order', to_char(date '2024-01-01' + n %% 700, 'YYYY-MM-DD')),
       CASE WHEN n %% 20 = 0 THEN ARRAY[%(tag)s] WHEN n %% 5001 = 1 THEN ARRAY[%(rare)s] ELSE '{}' END,
       now() - make_interval(mins => 500000 - n / 2), now()
  FROM (
    SELECT n, random() AS a, random() AS b, random() AS d,
           (%(firsts)s::text[])[1 + floor(%(first_count)s * power(random(), 2.5))::int] AS first,
           (%(lasts)s::text[])[1 + floor(%(last_count)s * power(random(), 2.5))::int] AS last,
           (%(domains)s::text[])[1 + floor(%(domain_count)s * power(random(), 2.5))::int] AS domain
      FROM generate_series(1, %(count)s) AS n) AS made
"""  # noqa: E501
SUPPRESSIONS = """
INSERT INTO contacts_suppression (workspace_id, email, reason, note, created_at)
SELECT workspace_id, lower(email), 'hard_bounce', '', now() FROM contacts_contact
 WHERE workspace_id = %s AND id %% 300 = 0
ON CONFLICT DO NOTHING
"""
FIRSTS = """
Anna Peter Maria Thomas Jose Laura Michael Sophie David Julia Daniel Sarah Paul Emma Lukas Marie Jan Lena Tom Zoë
José Jürgen Käthe Björn Søren Ida Noah Mila Omar Aisha Wei Yuki Ravi Priya Ivan Olga Jorge Lucía Pierre Chloé
Giulia Marco Nils Freya Lars Ingrid Kwame Amara Tariq Leila
""".split()  # noqa: SIM905
LASTS = """
Müller Smith Garcia Schmidt Martin Rossi Silva Jones Meyer Dubois Weber Fernandez Wagner Brown Becker Santos Hoffmann
Bianchi Koch Moreau Bauer Costa Richter Taylor Klein Romano Wolf Laurent Schröder Pereira Neumann Evans Schwarz Ricci
Zimmermann Simon Braun Marino Krüger Roux Hofmann Walker Hartmann Greco Lange Fournier Werner Ward Krause Bruno
Lehmann Mercier Köhler Turner Maier Conti Fuchs Blanc Kaiser Parker Peters Gallo Lang Guerin Scholz Cooper Möller
Costantini Weiß Faure Jung Bailey Hahn Andre Vogel Murphy Keller Rousseau Günther Kelly Frank Bell Berger Ørsted
Winkler Quist Roth Xander Beck Yilmaz Lorenz Zapata Baumann Nakamura Franke Okafor
""".split()  # noqa: SIM905
DOMAINS = """
gmail.com outlook.com yahoo.com gmx.de web.de hotmail.com icloud.com orange.fr t-online.de libero.it free.fr
googlemail.com aol.com live.com mail.example protonmail.com wanadoo.fr freenet.de sapo.pt online.no
""".split()  # noqa: SIM905


def a_workspace(count: int) -> Workspace:
    """The workspace, and others beside it; all of them go with `bench.world.clear`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.4)")
        workspace = _a_workspace(cursor, count)
        for part in OTHERS:
            _a_workspace(cursor, max(int(count * part), 1))
        cursor.execute("VACUUM ANALYZE contacts_subscription, contacts_suppression")
    return workspace


def _a_workspace(cursor, count: int) -> Workspace:
    workspace = Workspace.objects.create(name=NAME, postal_address="1 High Street, 12345 Springfield")
    for key, kind in FIELDS.items():
        CustomField.objects.create(workspace=workspace, key=key, label=key.title(), type=kind)
    tag, rare = (Tag.objects.create(workspace=workspace, name=name) for name in ("Customer", "Press"))
    spread = {"firsts": FIRSTS, "lasts": LASTS, "domains": DOMAINS}
    spread |= {f"{name[:-1]}_count": len(values) for name, values in spread.items()}
    chosen = {"workspace": workspace.pk, "count": count, "tag": tag.pk, "rare": rare.pk}
    cursor.execute(CONTACTS, chosen | spread)
    # Else each subscription may be checked by a plan for an empty table: it is kept for as long as a statement lasts.
    cursor.execute("VACUUM ANALYZE contacts_contact")
    for name, of_them in LISTS.items():
        made = List.objects.create(workspace=workspace, name=name)
        cursor.execute(SUBSCRIPTIONS.format(of_them=of_them), chosen | {"list": made.pk})
    cursor.execute(SUPPRESSIONS, [workspace.pk])
    return workspace
