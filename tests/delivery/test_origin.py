"""A restored copy of a Volley holds what the first one may be sending; one that only starts again goes on."""

from datetime import timedelta

import psycopg
import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts.models import Installation
from accounts.queue import redis_client
from campaigns.actions import lifecycle
from campaigns.models import Campaign, State
from delivery.management.commands.clock import tick
from delivery.models import Mailing
from delivery.origin import ORIGIN, hold_copy
from delivery.pipeline.work import work_slice
from tests.builders import a_campaign

pytestmark = pytest.mark.django_db


@pytest.fixture
def in_the_air(workspace, people, account, news):
    people(3)
    campaign = a_campaign(workspace, "Spring", lists=[news], account=account, state=State.SENDING)
    lifecycle.launch(campaign.pk)
    tick()
    return campaign


def restore_elsewhere():
    """As a dump does: the rows come along, where they lay does not."""
    Installation.objects.update(origin="another/place/altogether")


def test_what_starts_again_goes_on(in_the_air, settings):
    redis_client().flushdb()
    settings.SECRET_KEY = "a container that kept nothing"
    tick()
    assert Mailing.objects.get().state == "sending"


def test_a_restored_copy_sends_nothing_until_a_person_says_so(in_the_air, server, sign_in, bob):
    restore_elsewhere()
    tick()
    mailing = Mailing.objects.get()
    assert mailing.state == "paused"
    assert "restored or moved" in mailing.state_reason
    assert work_slice(mailing.pk) is None
    client = sign_in(bob)
    assert "restored or moved" in client.get(reverse("home")).content.decode()
    client.post(reverse("campaign_resume", args=[in_the_air.pk]))
    tick()
    while work_slice(mailing.pk):
        pass
    mailing.refresh_from_db()
    assert (mailing.state, len(server.messages)) == ("finished", 3)


def test_what_was_to_begin_does_not_begin_in_a_copy(in_the_air, workspace, bob):
    now = timezone.now()
    a_campaign(workspace, "Scheduled", state=State.SCHEDULED, scheduled_at=now - timedelta(seconds=1))
    a_campaign(workspace, "Prepared", state=State.SENDING)
    restore_elsewhere()
    tick()
    for name in ("Scheduled", "Prepared"):
        campaign = Campaign.objects.get(name=name)
        assert campaign.state == State.FAILED
        assert "Open it again and send it" in campaign.state_reason
        lifecycle.reopen(campaign, by=bob)


def test_a_worker_that_starts_first_holds_it_too(in_the_air):
    restore_elsewhere()
    assert hold_copy()
    assert not hold_copy()
    assert Mailing.objects.get().state == "paused"


@pytest.mark.django_db(transaction=True)
def test_a_copy_is_told_from_its_original_and_work_on_the_tables_is_no_copy():
    def origin(name):
        with psycopg.connect(**address, dbname=name) as asked:
            return asked.execute(ORIGIN).fetchone()[0]

    source = connection.settings_dict["NAME"]
    copy = f"{source}_copy"
    address = connection.get_connection_params()
    address = {name: address[name] for name in ("host", "port", "user", "password") if address.get(name)}
    before = origin(source)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE delivery_delivery")
        cursor.execute("VACUUM FULL delivery_delivery")
    assert origin(source) == before
    connection.close()
    with psycopg.connect(**address, dbname="postgres", autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{source}"')
        try:
            assert origin(copy) != before
        finally:
            server.execute(f'DROP DATABASE "{copy}"')
