"""The report of opens and clicks: people with rates of the delivered, machines apart, links, hours, lists of who."""

import datetime
import html
import re

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from contacts import segments
from contacts.actions.erasure import erase
from contacts.forms.segments import rules_in
from contacts.models import Contact
from contacts.segments.vocabulary import Vocabulary
from delivery import monitor
from delivery.feedback.apply import apply
from delivery.feedback.facts import Fact, Kind, key_of
from delivery.models import Delivery, LinkTally, Mailing
from tests.builders import a_campaign, a_contact, an_account

NOW = timezone.now()
SHOP, BLOG = "https://shop.example/", "https://blog.example/<b>"


@pytest.fixture
def spring(workspace):
    """A sent campaign to Anna, Ben and Cleo, of whom one message came back."""
    account = an_account(workspace)
    mailing = Mailing.objects.create(
        workspace=workspace,
        name="Spring roast",
        account=account,
        content={},
        frame={"tracking": {"opens": True, "clicks": True}},
        state="finished",
        finished_at=NOW,
        created_at=NOW - datetime.timedelta(hours=3),
        total_count=3,
        accepted_count=3,
        bounced_count=1,
    )
    for number, name in enumerate(("anna", "ben", "cleo"), start=1):
        contact = a_contact(workspace, f"{name}@example.com")
        Delivery.objects.create(
            mailing=mailing, number=number, contact=contact, email=contact.email, state="accepted"
        )
    return a_campaign(workspace, state="sent", mailing=mailing, account=account)


def did(campaign, kind, number, *, url="", minutes=0, why=""):
    at = NOW - datetime.timedelta(minutes=minutes)
    mailing = campaign.mailing
    key = key_of(at, kind, number, url, minutes)
    fact = Fact(mailing.workspace_id, Kind(kind), at, key, mailing.pk, number, url=url)
    apply([fact._replace(is_machine=bool(why), why_machine=why, is_nameless=number is None)])


def report(client, campaign, name="campaign_report", query=""):
    return " ".join(client.get(reverse(name, args=[campaign.pk]) + query).content.decode().split())


def test_people_are_counted_of_the_delivered_and_machines_apart(sign_in, carol, spring):
    did(spring, "opened", 1)
    did(spring, "opened", 1, minutes=5)
    did(spring, "clicked", 2, url=SHOP)
    did(spring, "opened", 3, why="Apple Mail Privacy Protection")
    page = report(sign_in(carol), spring)
    assert '100.0 % <span class="text-nowrap">of 2</span>' in page  # Anna opened, and Ben by his click
    assert '50.0 % <span class="text-nowrap">of 2</span>' in page
    assert "2 opens, 1 click by people" in page
    assert "1 open and 0 clicks, by mail programs" in page


def test_with_one_press_machines_are_counted_too(sign_in, carol, spring):
    did(spring, "opened", 1)
    did(spring, "clicked", 1, url=SHOP, minutes=1)
    did(spring, "clicked", 2, url=SHOP, minutes=2, why="Proofpoint")
    did(spring, "clicked", 2, url=BLOG, minutes=3, why="Proofpoint")
    did(spring, "opened", 3, minutes=4, why="Apple Mail Privacy Protection")
    people = report(sign_in(carol), spring)
    assert 'href="?count=all#watched"' in people
    assert shown_link(sign_in(carol), spring, SHOP)[1] == 1
    page = report(sign_in(carol), spring, query="?count=all")
    assert "What people and machines did" in page
    assert "2 opens, 3 clicks by people and machines" in page
    assert (
        '<div class="h2 mb-0"> 3 </div> <div class="text-secondary">150.0 %' in page
    )  # whose message was opened
    assert '<div class="h2 mb-0"> 2 </div> <div class="text-secondary">100.0 %' in page  # and clicked
    assert '<td data-label="Recipients" class="text-end">2 ' in page
    assert '<td data-label="Of these by machines" class="text-end text-secondary">1</td>' in page
    assert "2 clicks</title>" in page or "3 clicks</title>" in page  # by hour
    assert "?state=opened" not in page


def test_clicks_that_are_on_no_link_are_named_so_that_the_sum_is_right(sign_in, carol, spring):
    did(spring, "clicked", 1, url=SHOP)
    assert "Not listed" not in report(sign_in(carol), spring)
    did(spring, "clicked", 2, minutes=1, why="Followed a hidden link")
    page = report(sign_in(carol), spring, query="?count=all")
    assert "2 clicks by people and machines" in page
    assert "Not listed: 1 click by machines on a hidden link" in page


def test_the_pace_of_a_gradual_start_says_that_its_wait_is_in_it(sign_in, carol, spring):
    now = timezone.now()
    Mailing.objects.update(finished_at=now, created_at=now - datetime.timedelta(seconds=1), accepted_count=3)
    assert "3 messages a second on average<" in report(sign_in(carol), spring)
    Mailing.objects.update(rest_at=now)
    assert "3 messages a second on average, the wait" in report(sign_in(carol), spring)


def test_where_no_machine_came_there_is_nothing_to_choose(sign_in, carol, spring):
    did(spring, "opened", 1)
    assert "count=all" not in report(sign_in(carol), spring)


def test_while_it_is_sent_the_choice_stands(sign_in, carol, spring):
    did(spring, "opened", 1, why="Apple Mail Privacy Protection")
    type(spring).objects.update(state="sending")
    Mailing.objects.update(state="sending")
    assert "&amp;count=all" in report(sign_in(carol), spring, query="?count=all")


def test_links_and_hours_stand_in_the_report(sign_in, carol, spring):
    for number, minutes in ((1, 1), (1, 65), (2, 70)):
        did(spring, "clicked", number, url=SHOP, minutes=minutes)
    did(spring, "clicked", 1, url=BLOG, minutes=90)
    page = report(sign_in(carol), spring)
    assert page.index("shop.example") < page.index("blog.example/&lt;b&gt;")
    assert '<td data-label="Clicks" class="text-end">3</td>' in page
    assert "The first two days by hour" in page


def test_who_opened_and_who_clicked_are_lists_that_make_segments(sign_in, bob, spring):
    did(spring, "opened", 1)
    did(spring, "clicked", 2, url=SHOP)
    opened = report(sign_in(bob), spring, "campaign_recipients", "?state=opened")
    assert ("anna@" in opened, "ben@" in opened, "cleo@" in opened) == (True, True, False)
    assert "Make a segment of these" in opened
    clicked = report(sign_in(bob), spring, "campaign_recipients", "?state=clicked")
    assert ("anna@" in clicked, "ben@" in clicked) == (False, True)


def test_the_list_of_campaigns_and_home_show_the_rates(sign_in, carol, spring):
    did(spring, "clicked", 2, url=SHOP)
    for name in ("campaigns", "home"):
        page = " ".join(sign_in(carol).get(reverse(name)).content.decode().split())
        assert "50.0 % opened" in page
        assert "50.0 % clicked" in page


def test_whose_message_came_back_stands_with_the_words_it_came_back_with(sign_in, carol, spring):
    Delivery.objects.update(server_said="250 2.0.0 Queued", settled_at=NOW)
    fact = Fact(
        spring.workspace_id,
        Kind("bounced"),
        NOW,
        key_of(NOW, "back"),
        spring.mailing.pk,
        1,
        said="550 No such user",
    )
    apply([fact])
    page = report(sign_in(carol), spring, "campaign_recipients")
    assert (page.count("550 No such user"), page.count("250 2.0.0 Queued")) == (1, 2)


def test_where_only_those_who_agreed_are_counted_the_report_says_so(sign_in, carol, spring):
    Mailing.objects.update(frame={"tracking": {"opens": True, "clicks": True}})
    assert "Only people who had agreed" not in report(sign_in(carol), spring)
    Mailing.objects.update(frame={"tracking": {"opens": True, "clicks": True, "consent": "watch_me"}})
    assert "Only people who had agreed are counted" in report(sign_in(carol), spring)


def test_in_privacy_mode_there_are_totals_alone(sign_in, carol, spring):
    Mailing.objects.update(frame={"tracking": {"opens": True, "clicks": True, "is_nameless": True}})
    did(spring, "clicked", None, url=SHOP)
    did(spring, "clicked", None, url=SHOP, minutes=1, why="Proofpoint")
    page = report(sign_in(carol), spring, query="?count=all")
    assert '<div class="h2 mb-0"> 2 </div>' in page
    page = report(sign_in(carol), spring)
    assert "privacy mode" in page
    assert "?state=clicked" not in page
    assert "?link=" not in page
    digest = LinkTally.objects.get().digest
    assert "in privacy mode" in report(sign_in(carol), spring, "campaign_recipients", f"?link={digest}")
    assert 'value="opened"' not in report(sign_in(carol), spring, "campaign_recipients", "")
    assert '<td data-label="Clicks" class="text-end">1</td>' in page


def shown_link(client, campaign, url):
    """Where the link's number leads, and the number."""
    page = report(client, campaign)
    found = re.search(rf'{re.escape(url)}</td>.*?href="([^"]+)">(\d+)<', page)
    return found and (found[1], int(found[2]))


def test_a_links_number_leads_to_just_those_people(sign_in, bob, mallory, spring, workspace):
    for number, minutes in ((1, 0), (1, 5), (2, 1)):
        did(spring, "clicked", number, url=SHOP, minutes=minutes)
    did(spring, "clicked", 3, url=SHOP, minutes=2, why="Proofpoint")
    did(spring, "clicked", 3, url=f"{SHOP}2", minutes=3)
    client = sign_in(bob)
    url, count = shown_link(client, spring, SHOP)
    page = client.get(url).content.decode()
    listed = set(re.findall(r"(\w+)@example.com</a>", page))
    assert listed == {"anna", "ben"}
    assert count == len(listed)

    builder = html.unescape(re.search(r'class="btn" href="(/segments/new/[^"]+)"', page)[1])
    assert client.get(builder).status_code == 200
    rules = rules_in(QueryDict(builder.partition("?")[2]))
    assert {each.email.partition("@")[0] for each in segments.matching(rules, workspace)} == listed
    words = segments.in_words(rules, Vocabulary(workspace))
    assert words.startswith(f"Clicked the link “{SHOP}” in Spring")

    rules["rules"][0] |= {"operator": "link_has", "value": {"link": SHOP.upper()}}
    assert segments.matching(rules, workspace).count() == 3
    assert sign_in(mallory).get(url).status_code == 404


def test_who_was_erased_is_counted_and_named_nowhere(sign_in, bob, spring, workspace):
    did(spring, "clicked", 1, url=SHOP)
    did(spring, "clicked", 2, url=SHOP)
    erase(Contact.objects.get(email="anna@example.com"), by=bob)
    client = sign_in(bob)
    url, count = shown_link(client, spring, SHOP)
    page = client.get(url).content.decode()
    assert (count, page.count("@example.com</a>")) == (2, 1)
    assert "Whoever was erased since is counted in the report and named nowhere." in page


def test_a_link_that_is_none_of_the_campaigns_changes_nothing(sign_in, carol, spring):
    for link in ("x", "0" * 32):
        page = report(sign_in(carol), spring, name="campaign_recipients", query=f"?link={link}")
        assert page.count("@example.com</a>") == 3


def test_one_that_is_not_watched_says_so(sign_in, carol, spring):
    Mailing.objects.update(frame={})
    assert "Opens and clicks of this campaign are not counted." in report(sign_in(carol), spring)


def _counts_events(sql):
    """Blocks are few, and read by index for their words; of a group of refusals one person is looked up by it."""
    return "delivery_event" in sql and "'blocked'" not in sql and "'bounced'" not in sql


def test_it_costs_the_same_whatever_was_clicked(sign_in, carol, spring):
    client = sign_in(carol)
    report(client, spring)  # what a process asks once
    counts = []
    for wave in (1, 2):
        for number in (1, 2, 3):
            for letter in "abcdef":
                did(
                    spring,
                    "clicked",
                    number,
                    url=f"https://{letter}.example/{wave}",
                    minutes=10 * number * wave,
                )
        with CaptureQueriesContext(connection) as queries:
            report(client, spring)
        counts.append(len(queries))
        assert not [each for each in queries if _counts_events(each["sql"])], "none is counted for it"
    assert counts[0] == counts[1]


def test_what_of_a_large_one_is_still_being_read_is_said_and_asked_for_until_it_is_there(
    sign_in, carol, spring, monkeypatch
):
    monkeypatch.setattr(monitor, "MANY", 1)
    monkeypatch.setattr(monitor, "workers_alive", lambda _queue: 1)
    client, url = sign_in(carol), reverse("campaign_report", args=[spring.pk])
    page = client.get(url).text
    assert "is being read" in page
    assert 'hx-trigger="every 5s"' in page
    monitor.read(Mailing.objects.get())
    page = client.get(url).text
    assert "is being read" not in page
    assert "every 5s" not in page
    assert "By receiving domain" in page
