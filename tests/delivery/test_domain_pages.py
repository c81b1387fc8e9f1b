"""Sending domains on the screen: added, checked, set up, given a new key, deleted; the rules; and the preflight."""

import html
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEntry
from campaigns import preflight
from campaigns.actions import lifecycle
from delivery.accounts import set_aside, use_again
from delivery.domains import actions
from delivery.domains.findings import Finding
from delivery.domains.rules import rules
from delivery.models import DkimKey, Mailing, SendingDomain
from tests.builders import a_campaign, a_contact, a_domain, an_account

pytestmark = pytest.mark.django_db


def wrong(subject, sentence, *, required=True):
    return Finding(subject, subject.upper(), "brand.net", state="wrong", said=[sentence], required=required)


def good(subject):
    return Finding(subject, subject.upper(), "brand.net", said=["It is in place."], required=True)


def text(answer):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def test_ada_adds_a_domain_and_sees_what_to_set(ada, workspace, sign_in, name_server):
    client = sign_in(ada)
    assert "No sending domain yet" in text(client.get("/sending/domains/"))
    answer = client.post("/sending/domains/new/", {"name": " News@Bränd.net. "}, follow=True)
    domain = SendingDomain.objects.get(workspace=workspace)
    assert domain.name == "xn--brnd-moa.net"
    assert "Asking DNS" in text(answer)
    assert 'hx-trigger="every 1s"' in answer.content.decode()

    actions.run_check(domain.pk)
    answer = client.get(f"/sending/domains/{domain.pk}/", HTTP_HX_REQUEST="true", HTTP_HX_TARGET="div#checks")
    key = domain.keys.get()
    assert f'data-copy="{key.record}"' in answer.content.decode()
    assert "There is no DMARC record" in text(answer)
    assert "every 1s" not in answer.content.decode()
    assert 'id="key-list" hx-swap-oob="innerHTML"' in answer.content.decode()
    assert "Signs once a check finds its record" in text(answer)
    assert "Not in order" in text(client.get("/sending/domains/"))
    assert AuditEntry.objects.filter(verb="domain.added", user=ada).exists()


@pytest.mark.parametrize(
    "name", ["", "brand", "10.0.0.1", "brand..net", "-brand.net", "a b.net", "x" * 64 + ".net"]
)
def test_what_is_no_domain_is_refused(ada, sign_in, name):
    answer = sign_in(ada).post("/sending/domains/new/", {"name": name})
    assert answer.status_code == 422
    assert not SendingDomain.objects.exists()


def test_a_domain_is_added_once(ada, workspace, sign_in):
    a_domain(workspace)
    answer = sign_in(ada).post("/sending/domains/new/", {"name": "BRAND.net"})
    assert answer.status_code == 422
    assert "one of your sending domains already" in text(answer)


def test_how_it_sends_is_changed_and_checked_again(ada, workspace, sign_in):
    domain = a_domain(workspace)
    url = f"/sending/domains/{domain.pk}/"
    answer = sign_in(ada).post(
        url, {"other_selectors": "S1, s2", "spf_terms": "include:_spf.host.net", "is_excused": "on"}
    )
    assert answer.status_code == 302
    domain.refresh_from_db()
    assert (domain.signs, domain.selectors, domain.spf_terms) == (
        False,
        ["s1", "s2"],
        "include:_spf.host.net",
    )
    assert domain.is_being_checked
    assert set(AuditEntry.objects.values_list("verb", flat=True)) >= {"domain.changed", "domain.excused"}
    assert sign_in(ada).post(url, {"other_selectors": "s1._domainkey/x"}).status_code == 422
    assert sign_in(ada).post(url, {"spf_terms": "+all"}).status_code == 422


def test_a_new_key_waits_for_its_record(ada, workspace, sign_in):
    domain = a_domain(workspace)
    client = sign_in(ada)
    client.post(f"/sending/domains/{domain.pk}/rotate/")
    assert DkimKey.objects.filter(domain=domain, signs_from=None).count() == 1
    answer = client.post(f"/sending/domains/{domain.pk}/rotate/")
    assert answer.status_code == 409
    assert "waiting for its record already" in text(answer)


def test_a_deleted_domain_takes_its_keys_along(ada, workspace, sign_in):
    domain = a_domain(workspace)
    assert sign_in(ada).post(f"/sending/domains/{domain.pk}/delete/").status_code == 302
    assert not DkimKey.objects.exists()
    assert AuditEntry.objects.filter(verb="domain.deleted", subject="brand.net").exists()


def test_the_page_says_where_services_show_their_records(ada, workspace, sign_in):
    an_account(workspace, provider="sendgrid", name="Our SendGrid")
    answer = text(sign_in(ada).get(f"/sending/domains/{a_domain(workspace).pk}/"))
    assert "Our SendGrid Settings, “Sender authentication” s1, s2 or m1" in answer


def test_a_check_that_no_worker_takes_up_is_said(ada, workspace, sign_in):
    domain = a_domain(workspace)
    late = domain.checked_at + actions.TOO_LATE
    domain.checked_at, domain.asked_at = None, late - 2 * actions.TOO_LATE
    domain.save()
    answer = sign_in(ada).get(f"/sending/domains/{domain.pk}/")
    assert "No worker took the check up yet" in text(answer)


# --- The rules ------------------------------------------------------------------------------------------


def a_mailing(workspace, account, sender="news@brand.net", **counts):
    return Mailing.objects.create(
        workspace=workspace, name="Spring", account=account, content={"from_email": sender}, **counts
    )


def rows_of(domain):
    ((_, rows),) = rules([domain], domain.workspace)
    return {each.label: each for each in rows}


def test_a_domain_that_keeps_every_rule_is_green(ada, workspace, sign_in, settings):
    settings.PUBLIC_URL = "https://volley.brand.net"
    host = Finding("ptr", "Reverse name", "smtp.brand.net", "PTR", said=["Each address has a name."])
    domain = a_domain(workspace, findings=[good("spf"), good("dkim"), good("dmarc")], hosts=[host])
    account = an_account(workspace, settings={"host": "smtp.brand.net", "port": 587, "security": "starttls"})
    a_mailing(workspace, account, accepted_count=10_000, bounced_count=100, complained_count=5)
    assert {each.state for each in rows_of(domain).values()} == {"good"}
    answer = text(sign_in(ada).get("/sending/rules/"))
    assert "0.05 % (5 of 9,900) in the last 30 days; below 0.1 % is wanted, 0.3 % is the most." in answer
    assert "Not in order" not in answer


@pytest.mark.parametrize(
    ("complained", "state"), [(9, "good"), (10, "warning"), (29, "warning"), (30, "wrong")]
)
def test_complaints_are_held_against_a_tenth_and_three_tenths_of_a_percent(workspace, complained, state):
    domain = a_domain(workspace)
    account = an_account(workspace)
    a_mailing(workspace, account, "news@m.brand.net", accepted_count=11_000, complained_count=complained,
              bounced_count=500, soft_bounced_count=300, blocked_count=200)  # fmt: skip
    a_mailing(workspace, account, "news@other.net", accepted_count=50, complained_count=50)
    a_mailing(workspace, account, accepted_count=50, complained_count=50, is_test=True)
    assert rows_of(domain)["Complaints"].state == state


def test_what_breaks_a_rule_says_what_to_do(workspace):
    dkim = wrong("dkim", "The key is cut off.")
    domain = a_domain(workspace, findings=[good("spf"), dkim, wrong("dmarc", "There is no DMARC record.")])
    an_account(workspace, provider="mailgun", name="Mailgun")
    an_account(workspace)
    rows = rows_of(domain)
    assert (rows["DKIM"].state, rows["DKIM"].said) == ("wrong", "The key is cut off.")
    assert rows["DMARC"].to_do == "Set the record that the domain’s page shows."
    assert rows["Alignment"].state == "wrong"
    assert rows["TLS"].state == "warning"  # no encryption to the server
    assert rows["Reverse names"].state == "unknown"
    assert "must be https" in rows["Unsubscribe by one click"].said


@pytest.mark.parametrize(
    ("provider", "settings_of", "state"),
    [
        ("mailersend", {"own_headers": False}, "wrong"),
        ("mailersend", {"own_headers": True}, "good"),
        ("unisender_go", {}, "wrong"),
        ("mailgun", {}, "good"),
        ("smtp", None, "good"),
    ],
)
def test_one_click_is_in_order_where_the_accounts_take_its_headers(
    workspace, settings, provider, settings_of, state
):
    settings.PUBLIC_URL = "https://volley.brand.net"
    domain = a_domain(workspace)
    an_account(workspace, provider=provider, name="Ours", settings=settings_of)
    row = rows_of(domain)["Unsubscribe by one click"]
    assert (row.state, "Ours: messages leave without" in row.said) == (state, state == "wrong")
    assert ("covered by the signature" in row.said) == (provider == "smtp")


def test_a_service_whose_key_was_found_is_known_to_sign(workspace):
    key = replace(good("dkim_other"), provider="sendgrid")
    domain = a_domain(workspace, signs=False, findings=[good("spf"), key, good("dmarc")])
    an_account(workspace, provider="sendgrid", name="Ours")
    assert (rows_of(domain)["DKIM"].state, rows_of(domain)["Alignment"].state) == ("good", "good")
    an_account(workspace, provider="resend", name="Theirs")
    assert "Whether messages of Theirs are signed" in rows_of(domain)["DKIM"].said
    an_account(workspace, provider="smtp", name="Server")
    assert "Whether messages of Theirs, the mail server are signed" in rows_of(domain)["DKIM"].said


def test_an_account_that_may_not_send_from_a_domain_breaks_none_of_its_rules(workspace):
    domain = a_domain(workspace, findings=[good("spf"), good("dkim"), good("dmarc")])
    an_account(workspace, provider="unisender_go", name="Theirs", sender_domains=["other.net"])
    rows = rows_of(domain)
    assert rows["DKIM"].state == "good"
    assert "Theirs" not in rows["Unsubscribe by one click"].said
    assert rows["TLS"].said == "No account sends to the outside yet."


def test_a_service_whose_selectors_are_not_named_is_not_known_to_sign(workspace):
    domain = a_domain(workspace, findings=[good("spf"), good("dkim"), good("dmarc")])
    an_account(workspace, provider="mailgun", name="Mailgun")
    assert rows_of(domain)["DKIM"].state == "unknown"


# --- Preflight ------------------------------------------------------------------------------------------


def concerns(workspace, sender="news@brand.net", **account):
    campaign = a_campaign(workspace, from_email=sender, account=an_account(workspace, **account))
    found = [each for each in preflight.checks(campaign) if each.fix_url_name == "domains"]
    return [(each.level, each.text) for each in found]


def test_a_campaign_without_dkim_or_dmarc_stays_until_it_is_excused(workspace):
    findings = [
        good("spf"),
        wrong("dkim", "There is no record."),
        wrong("dmarc", "There is no DMARC record."),
    ]
    domain = a_domain(workspace, findings=findings)
    expected = [
        "DKIM of brand.net is not in order: There is no record.",
        "DMARC of brand.net is not in order: There is no DMARC record.",
    ]
    assert concerns(workspace) == [("error", each) for each in expected]
    domain.is_excused = True
    domain.save()
    assert concerns(workspace) == [("warning", each) for each in expected]


def test_what_is_wrong_beside_them_is_said_and_stops_nothing(workspace):
    path = replace(wrong("return_path", "Bounces reach nobody.", required=False), label="Return path, MX")
    domain = a_domain(
        workspace,
        findings=[wrong("spf", "It is not there.", required=False), good("dkim"), good("dmarc"), path],
        hosts=[Finding("ptr", "Reverse name", "smtp.brand.net", state="wrong", said=["No name."])],
    )
    domain.checks["blocklists"] = [wrong("blocklist", "Listed.", required=False).as_dict()]
    domain.save()
    expected = [
        "SPF of brand.net is not in order: It is not there.",
        "Return path, MX of brand.net is not in order: Bounces reach nobody.",
    ]
    listed = "brand.net or its server stands on a blocklist."
    name = "Reverse name of smtp.brand.net is not in order: No name."
    assert concerns(workspace, name="Other") == [("warning", each) for each in [*expected, listed]]
    own = concerns(workspace, settings={"host": "smtp.brand.net", "port": 25}, name="Own")
    assert own == [("warning", each) for each in [*expected, name, listed]]


def test_an_alarm_is_shown_where_one_looks_and_leads_to_its_domain(ada, carol, mallory, workspace, sign_in):
    domain = a_domain(workspace, alarm="DMARC was in order and is not any more: It is gone.")
    link = f'href="/sending/domains/{domain.pk}/"'
    home = sign_in(ada).get("/")
    assert "Needs attention Not in order brand.net DMARC was in order" in text(home)
    assert link in home.content.decode()
    for url in ("/sending/", "/sending/domains/"):
        assert domain.alarm in text(sign_in(ada).get(url)), url
    home = sign_in(carol).get("/")
    assert "It is gone. An admin can mend it." in text(home)
    assert link not in home.content.decode()
    assert "brand.net" not in text(sign_in(mallory).get("/"))
    SendingDomain.objects.update(alarm="")
    assert "Needs attention" not in text(sign_in(ada).get("/"))


def test_an_account_that_a_server_refused_stands_on_home_and_one_that_a_person_set_aside_does_not(
    ada, bob, mallory, workspace, sign_in
):
    account = an_account(workspace, name="Ours", stopped_reason="401 Unauthorized", stopped_at=timezone.now())
    said = "Set aside Ours Nothing leaves through this sending account: 401 Unauthorized"
    assert said in text(sign_in(ada).get("/"))
    assert f"{said} An admin can use it again." in text(sign_in(bob).get("/"))
    assert "Ours" not in text(sign_in(mallory).get("/"))
    use_again(account, by=ada)
    set_aside(account, by=ada)
    assert "Needs attention" not in text(sign_in(ada).get("/"))


def test_many_alarms_cost_home_no_more_queries(carol, workspace, sign_in, django_assert_num_queries):
    client = sign_in(carol)
    a_domain(workspace, name="d0.net", alarm="Gone.")
    client.get("/")
    with CaptureQueriesContext(connection) as with_one:
        client.get("/")
    for n in range(1, 10):
        a_domain(workspace, name=f"d{n}.net", alarm="Gone.")
    with django_assert_num_queries(len(with_one)):
        answer = client.get("/")
    assert answer.content.decode().count("Gone.") == 5


def test_our_own_key_is_no_concern_of_a_service_that_signs_itself(workspace):
    a_domain(workspace, findings=[good("spf"), wrong("dkim", "There is no record."), good("dmarc")])
    ((level, words),) = concerns(workspace, provider="mailgun", name="Mailgun")
    assert (level, "name its selectors" in words) == ("warning", True)


def test_a_domain_that_came_in_by_a_service_offers_to_sign_once_it_is_used_by_smtp(workspace):
    a_domain(workspace, signs=False, key_signs=False)
    ((level, words),) = concerns(workspace)
    assert level == "warning"
    assert words.startswith(
        "Volley does not sign for brand.net what leaves by SMTP. Tick it under “How it sends”"
    )


def test_what_a_service_lacks_is_said_before_a_campaign_leaves(workspace):
    key = Finding("dkim_other", "DKIM of SendGrid", state="warning", said=["No key."], provider="sendgrid")
    domain = a_domain(workspace, findings=[good("spf"), key, good("dmarc")])
    assert concerns(workspace, provider="sendgrid", name="Ours") == [
        ("warning", "DKIM of SendGrid at brand.net is worth a look: No key.")
    ]
    key.state = "good"
    domain.checks = {"records": [key.as_dict()]}
    domain.save()
    assert concerns(workspace, provider="sendgrid", name="Theirs") == []


@pytest.fixture
def new_sender(workspace, account, news):
    """A campaign that only the records of its sender's domain can hold up, which nobody has added."""
    a_contact(workspace, subscribed_to=[news])
    return a_campaign(workspace, lists=[news], account=account, from_email="news@brand.net")


def test_a_domain_that_was_never_added_is_added_and_looked_up_before_a_campaign_leaves(
    new_sender, bob, name_server
):
    ((level, words),) = [
        (each.level, each.text) for each in preflight.checks(new_sender) if each.fix_url_name == "domains"
    ]
    assert (level, "brand.net is not one of your sending domains yet" in words) == ("warning", True)
    with pytest.raises(lifecycle.NotReady, match="being looked up for the first time"):
        lifecycle.send_now(new_sender, by=bob)
    domain = SendingDomain.objects.get(name="brand.net")
    assert domain.is_being_checked
    assert AuditEntry.objects.filter(verb="domain.added", user=bob).exists()

    actions.run_check(domain.pk)
    with pytest.raises(lifecycle.NotReady, match="There is no DMARC record"):
        lifecycle.schedule(new_sender, at=timezone.now() + timedelta(hours=1), by=bob)
    SendingDomain.objects.update(is_excused=True)
    lifecycle.send_now(new_sender, by=bob)
    new_sender.refresh_from_db()
    assert new_sender.state == "sending"
    assert SendingDomain.objects.count() == 1


def test_a_campaign_scheduled_before_its_domain_was_known_waits_for_the_check(new_sender, name_server):
    type(new_sender).objects.update(state="scheduled", scheduled_at=timezone.now())
    assert lifecycle.launch_due() == 0
    new_sender.refresh_from_db()
    assert new_sender.state == "scheduled"
    domain = SendingDomain.objects.get(name="brand.net")
    domain.is_excused = True
    domain.save()
    actions.run_check(domain.pk)
    assert lifecycle.launch_due() == 1


def test_a_sender_is_looked_up_once_it_is_settled_and_not_while_it_is_typed(new_sender, bob, sign_in):
    client, url = sign_in(bob), f"/campaigns/{new_sender.pk}/sender/"
    typed = {"subject": "Hi", "from_email": "news@brand.ne", "account": new_sender.account_id}
    client.post(url, typed, HTTP_HX_REQUEST="true", HTTP_HX_TARGET="div#saved")
    assert not SendingDomain.objects.exists()
    client.post(url, {**typed, "from_email": "news"})
    assert not SendingDomain.objects.exists()
    assert client.post(url, {**typed, "from_email": "news@mail.brand.net"}).status_code == 302
    assert [each.name for each in SendingDomain.objects.all()] == ["mail.brand.net"]


@pytest.mark.parametrize(("provider", "signs"), [("sendgrid", False), ("smtp", True)])
def test_a_new_senders_domain_asks_for_a_key_of_ours_only_where_we_sign(workspace, provider, signs):
    account = an_account(workspace, provider=provider, name="Ours")
    assert actions.take_in(account, "news@brand.net", by=None) is True
    assert actions.take_in(account, "news@brand.net", by=None) is True
    assert SendingDomain.objects.get().signs is signs


@pytest.mark.parametrize("sender", ["news@brand.net", "news@mail.brand.net"])
def test_a_domain_that_answers_for_the_sender_is_enough(workspace, account, sender):
    a_domain(workspace)
    assert actions.take_in(account, sender, by=None) is False
    assert SendingDomain.objects.count() == 1


def test_what_could_not_be_read_holds_up_nothing(workspace):
    unknown = Finding(
        "dmarc", "DMARC", "_dmarc.brand.net", state="unknown", said=["No answer."], required=True
    )
    a_domain(workspace, findings=[good("spf"), good("dkim"), unknown])
    assert concerns(workspace) == []


@pytest.mark.parametrize("sender", ["news@acme.example", "news@localhost", "news@mail.test", "a@example.com"])
def test_names_for_tests_and_ones_own_network_are_no_concern(workspace, sender):
    assert concerns(workspace, sender) == []


@pytest.mark.parametrize(
    ("url", "provider", "words"),
    [
        ("http://volley.brand.net", "mailgun", ["Volley’s address begins with http"]),
        ("https://volley.brand.net", "mailgun", []),
        ("https://volley.brand.net", "unisender_go", ["By “Ours” it leaves without the headers"]),
        ("http://127.0.0.1:8000", "inbox", []),
    ],
)
def test_a_campaign_without_one_click_is_warned_of(workspace, settings, url, provider, words):
    settings.PUBLIC_URL = url
    account = an_account(workspace, provider=provider, name="Ours")
    campaign = a_campaign(workspace, from_email="news@brand.net", account=account)
    found = [each for each in preflight.checks(campaign) if each.fix_url_name == "sender_rules"]
    assert {each.level for each in found} <= {"warning"}
    assert [each.text.startswith(start) for each, start in zip(found, words, strict=True)] == [True] * len(
        words
    )


def test_the_local_inbox_is_no_concern(workspace):
    assert concerns(workspace, provider="inbox", name="Inbox") == []
