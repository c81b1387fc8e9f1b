"""Whether 1,000 lists and 500 segments slow the pages that show them."""

import time

from django.conf import settings
from django.db import connection
from django.test import Client, override_settings
from django.urls import reverse

from accounts.models import Membership, Role, User, Workspace
from bench.contacts.pages import statements_timed
from bench.contacts.people import LISTS
from campaigns.models import Campaign
from contacts.actions import growth
from contacts.models import List, Segment

FEW, MANY = (10, 5), (1_000, 500)  # lists, segments
TIMES = 3  # each page is asked for; the quickest counts, since others may be using the machine
# Of a hundred lists each has a hundredth of the people: as many subscriptions again as there are contacts.
SPREAD = """
INSERT INTO contacts_subscription (workspace_id, contact_id, list_id, status, consent_source, consent_at,
       unsubscribe_source, created_at)
SELECT c.workspace_id, c.id, %s, 'subscribed', 'Bench', now() - make_interval(days => (c.id %% 300)::int), '', now()
  FROM contacts_contact c WHERE c.workspace_id = %s AND c.id %% 100 = %s
"""
SPREAD_OVER = 100  # lists


# Files by their own names, as in tests: what is measured needs no collected copies.
PLAIN = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}


@override_settings(
    STORAGES=PLAIN, MIDDLEWARE=[each for each in settings.MIDDLEWARE if "whitenoise" not in each]
)
def measure_lists(workspace: Workspace, count: int) -> dict[str, object]:
    """Milliseconds of each page with many lists and segments, and how many times as long as with few."""
    person, _ = User.objects.get_or_create(email="bench@volley.example")
    Membership.objects.create(workspace=workspace, user=person, role=Role.OWNER)
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    campaign = Campaign.objects.create(workspace=workspace, name="Bench")
    everyone = List.objects.get(workspace=workspace, name="Everyone")
    _fill_up(workspace, *FEW)
    pages = _pages(everyone, campaign, Segment.objects.filter(workspace=workspace)[0])
    few = {name: _milliseconds(client, url)[0] for name, url in pages.items()}
    _fill_up(workspace, *MANY)
    many = {name: _milliseconds(client, url) for name, url in pages.items()}
    _clear(workspace, person)
    result: dict[str, object] = {"contacts": count}
    for name, (whole, database) in many.items():
        result |= {
            f"{name}_ms": round(whole, 1),
            f"{name}_database_ms": round(database, 1),
            f"{name}_times": round(whole / few[name], 2),
        }
    return result


def _pages(everyone: List, campaign: Campaign, segment: Segment) -> dict[str, str]:
    return {
        "lists": reverse("lists"),
        "lists_found": reverse("lists") + "?q=list+9",
        "list": reverse("list", args=[everyone.pk]),
        "list_health": reverse("list_health", args=[everyone.pk]),
        "contacts": reverse("contacts"),
        "contact_new": reverse("contact_new"),
        "segments": reverse("segments"),
        "segment": reverse("segment", args=[segment.pk]),
        "segment_new": reverse("segment_new"),
        "audience": reverse("campaign_audience", args=[campaign.pk]),
        "home": reverse("home"),
    }


def _fill_up(workspace: Workspace, lists: int, segments: int) -> None:
    """Make as many as there should be, some of the lists with people, and let the clock's work be done."""
    there = List.objects.filter(workspace=workspace).count()
    made = List.objects.bulk_create(
        List(workspace=workspace, name=f"List {number}") for number in range(there, lists)
    )
    rules = {"join": "and", "rules": [{"subject": "email", "operator": "domain", "value": "gmail.com"}]}
    held = Segment.objects.filter(workspace=workspace).count()
    Segment.objects.bulk_create(
        Segment(workspace=workspace, name=f"Segment {number}", rules=rules)
        for number in range(held, segments)
    )
    with connection.cursor() as cursor:
        for each in made[:SPREAD_OVER]:
            cursor.execute(SPREAD, [each.pk, workspace.pk, each.pk % 100])
        while growth.fold():
            pass
        cursor.execute(
            "VACUUM ANALYZE contacts_list, contacts_listday, contacts_listchange, contacts_subscription"
        )


def _milliseconds(client: Client, url: str) -> tuple[float, float]:
    """Of the whole page, and of its statements alone."""
    taken = []
    for _ in range(TIMES + 1):  # the first one warms templates and caches up
        began = time.perf_counter()
        with statements_timed() as spent:
            answer = client.get(url)
        taken.append((1000 * (time.perf_counter() - began), 1000 * sum(spent)))
        assert answer.status_code == 200, (url, answer.status_code)
    return min(taken[1:])


def _clear(workspace: Workspace, person: User) -> None:
    made = List.objects.filter(workspace=workspace).exclude(name__in=LISTS)
    Campaign.objects.filter(workspace=workspace).delete()
    Segment.objects.filter(workspace=workspace).delete()
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM contacts_subscription WHERE list_id = ANY(%s)",
            [list(made.values_list("pk", flat=True))],
        )
        while growth.fold():
            pass
    made.delete()
    person.delete()
