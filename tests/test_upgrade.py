"""A database of an earlier Volley, with a campaign in the air, becomes one of today's and the campaign ends."""

import email
from collections import Counter

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.urls import reverse

from campaigns.models import Campaign
from delivery.models import Batch, Mailing
from delivery.pipeline.work import work_slice
from delivery.queries import deliveries, progress
from tests.builders import CAMPAIGN_CONTENT
from tests.delivery.conftest import HELLO
from tests.delivery.test_pipeline import assert_everyone_is_accounted_for
from tests.people import a_person

pytestmark = pytest.mark.django_db(transaction=True)
ROOMS = ("accounts", "contacts", "delivery", "campaigns")
FIRST = [(room, "0001_initial") for room in ROOMS]
PEOPLE = 120
SENT = 50  # the first batch of them
REFUSED = 7  # one of these


def migrate(targets):
    executor = MigrationExecutor(connection)
    executor.migrate(targets)
    return MigrationExecutor(connection).loader.project_state(targets).apps


@pytest.fixture
def earlier(transactional_db):
    """Models of the first migrations, and their tables in a database beside the tests' own, which is used meanwhile."""
    own = connection.settings_dict["NAME"]
    name = f"{own}_earlier"
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    _use(name)
    yield migrate(FIRST)
    _use(own)
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _use(database):
    connection.close()
    connection.settings_dict["NAME"] = database


def fill(apps, port):
    """A workspace whose campaign has reached the first batch of its recipients."""

    def new(room, model, **fields):
        return apps.get_model(room, model).objects.create(**fields)

    workspace = new("accounts", "Workspace", name="Acme", postal_address="1 High Street")
    news = new("contacts", "List", workspace=workspace, name="News")
    settings = {"host": "127.0.0.1", "port": port, "security": "none", "user": ""}
    account = new(
        "delivery", "SendingAccount", workspace=workspace, name="Way out", provider="smtp", settings=settings
    )
    counts = {"total_count": PEOPLE, "accepted_count": SENT - 1, "rejected_count": 1, "batch_size": SENT}
    mailing = new(
        "delivery",
        "Mailing",
        workspace=workspace,
        account=account,
        name="Spring",
        content=HELLO.as_dict(),
        list_ids=[news.pk],
        **counts,
    )
    for number in range(1, PEOPLE + 1):
        contact = new("contacts", "Contact", workspace=workspace, email=f"p{number}@example.com")
        new(
            "contacts",
            "Subscription",
            workspace=workspace,
            contact=contact,
            list=news,
            status="subscribed",
        )
        state = "rejected" if number == REFUSED else "accepted" if number <= SENT else "pending"
        new(
            "delivery",
            "Delivery",
            mailing=mailing,
            number=number,
            contact=contact,
            email=contact.email,
            state=state,
        )
    for first in range(1, PEOPLE + 1, SENT):
        last = min(first + SENT - 1, PEOPLE)
        state = "done" if first == 1 else "ready"
        new("delivery", "Batch", mailing=mailing, first_number=first, last_number=last, state=state)
    new(
        "campaigns",
        "Campaign",
        workspace=workspace,
        name="Spring",
        state="sending",
        account=account,
        mailing=mailing,
        content=CAMPAIGN_CONTENT,
    )


def test_a_campaign_that_was_being_sent_before_an_upgrade_ends_after_it(earlier, server, sign_in):
    fill(earlier, server.port)
    migrate(MigrationExecutor(connection).loader.graph.leaf_nodes())
    mailing = Mailing.objects.get()
    keys = Batch.objects.values_list("key", flat=True)
    assert len(set(keys)) == len(keys), "no two batches share a journal"
    while work_slice(mailing.pk):
        pass
    mailing.refresh_from_db()
    assert (mailing.state, mailing.accepted_count) == ("finished", PEOPLE - 1)
    assert [each.number for each in deliveries(mailing, state="rejected")] == [REFUSED]
    assert [(group.state, group.count) for group in progress(mailing).errors] == [("rejected", 1)]
    assert_everyone_is_accounted_for(mailing)
    reached = Counter(server.recipients())
    assert reached == {f"p{number}@example.com": 1 for number in range(SENT + 1, PEOPLE + 1)}
    assert email.message_from_bytes(server.messages[0][1])["List-Unsubscribe"]
    campaign = Campaign.objects.get()
    assert campaign.state == "sent"
    alice = a_person("alice@acme.example", workspace=campaign.workspace, role="owner")
    for name in ("home", "campaigns"):
        assert "Spring" in sign_in(alice).get(reverse(name)).content.decode()
    page = sign_in(alice).get(reverse("campaign_report", args=[campaign.pk])).content.decode()
    assert f"{PEOPLE} of {PEOPLE}" in page
