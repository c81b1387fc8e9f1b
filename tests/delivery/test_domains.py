"""A sending domain is looked up in DNS, and whatever is wrong with its records is said in a sentence."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from delivery.domains import actions, alarms, blocklists, dmarc, naming, spf, standing
from delivery.domains.check import check
from delivery.domains.lookup import Dns
from delivery.models import SendingDomain, Tracking
from tests.builders import a_domain, an_account

pytestmark = pytest.mark.django_db
PUBLIC = "11.22.33.44"


@pytest.fixture
def open_lists(name_server):
    """Blocklists that answer: each lists its test entry."""
    for each in blocklists.BLOCKLISTS:
        name_server.set(blocklists.name_asked(each.probe, each.zone), "A", "127.0.0.2")


@pytest.fixture
def relay(workspace, name_server):
    """An SMTP server with a public address and a name that leads back to it."""
    name_server.set("smtp.brand.net", "A", PUBLIC)
    name_server.set("44.33.22.11.in-addr.arpa", "PTR", "smtp.brand.net")
    return an_account(
        workspace, name="Relay", settings={"host": "smtp.brand.net", "port": 587, "security": "starttls"}
    )


@pytest.fixture
def domain(workspace):
    return a_domain(workspace)


@pytest.fixture
def in_order(domain, relay, name_server):
    """All its records as they are to be."""
    key = domain.keys.get()
    name_server.set("brand.net", "TXT", "v=spf1 a:smtp.brand.net ~all", "google-site-verification=x")
    name_server.set(key.host, "TXT", key.record)
    name_server.set("_dmarc.brand.net", "TXT", "v=DMARC1; p=reject")
    name_server.set("brand.net", "MX", "10 mx.brand.net")
    return domain


def of(domain, subject, group="records"):
    (finding,) = [each for each in check(domain)[group] if each["subject"] == subject]
    return finding


def said(domain, subject):
    return " ".join(of(domain, subject)["said"])


def test_a_domain_whose_records_are_in_place_is_in_order(in_order, open_lists):
    found = check(in_order)
    assert [(each["subject"], each["state"]) for each in found["records"]] == [
        ("spf", "good"),
        ("dkim", "good"),
        ("dmarc", "good"),
        ("mx", "good"),
    ]
    assert [each["state"] for each in found["hosts"]] == ["good"]
    assert {each["state"] for each in found["blocklists"]} == {"good"}
    assert of(in_order, "spf")["wanted"] == "v=spf1 a:smtp.brand.net ~all"


def test_a_domain_without_any_record_shows_each_one_to_set(domain, relay, name_server):
    key = domain.keys.get()
    found = {each["subject"]: each for each in check(domain)["records"]}
    assert {name: each["state"] for name, each in found.items()} == dict.fromkeys(found, "wrong")
    assert found["spf"]["wanted"] == "v=spf1 a:smtp.brand.net ~all"
    assert (found["dkim"]["host"], found["dkim"]["wanted"]) == (
        f"{key.selector}._domainkey.brand.net",
        key.record,
    )
    assert (found["dmarc"]["host"], found["dmarc"]["wanted"]) == ("_dmarc.brand.net", "v=DMARC1; p=none")


@pytest.mark.parametrize(
    ("public_url", "kind", "value"),
    [("http://192.0.2.7:8000", "A", "192.0.2.7"), ("https://volley.brand.net", "CNAME", "volley.brand.net")],
)
def test_the_tracking_domain_leads_to_volley_by_address_or_by_name(
    domain, name_server, settings, public_url, kind, value
):
    settings.PUBLIC_URL = public_url
    Tracking.objects.create(workspace=domain.workspace, domain="t.brand.net")
    domain = SendingDomain.objects.get(pk=domain.pk)
    finding = of(domain, "tracking")
    assert (finding["state"], finding["kind"], finding["wanted"]) == ("wrong", kind, value)
    name_server.set("t.brand.net", kind, value)
    assert of(domain, "tracking")["state"] == "good"


# --- SPF ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("records", "words", "wanted"),
    [
        (
            ["v=spf1 include:_spf.mail.net -all"],
            "does not allow a:smtp.brand.net",
            "v=spf1 include:_spf.mail.net a:smtp.brand.net -all",
        ),
        (
            ["v=spf1 ip4:192.0.2.1 -all", "v=spf1 a:smtp.brand.net ~all"],
            "There are 2 SPF records; receivers then use none",
            "v=spf1 a:smtp.brand.net ip4:192.0.2.1 -all",
        ),
        (
            ["v=spf1 a:smtp.brand.net +all"],
            "lets everybody send in your name",
            "v=spf1 a:smtp.brand.net ~all",
        ),
        (["v=spf1 a:smtp.brand.net all"], "lets everybody send in your name", "v=spf1 a:smtp.brand.net ~all"),
        (["v=spf1 a:smtp.brand.net"], "no “all” at its end", "v=spf1 a:smtp.brand.net ~all"),
        (["v=spf1 a:smtp.brand.net ?all"], "says nothing about others", "v=spf1 a:smtp.brand.net ~all"),
        (["v=spf1 a:smtp.brand.net ipv4:192.0.2.1 ~all"], "“ipv4:192.0.2.1” is no SPF mechanism", None),
        (["v=spf1 a:smtp.brand.net ip4:300.1.1.1 ~all"], "names no network", None),
        (
            ["v=spf1 a:smtp.brand.net include:gone.net ~all"],
            "gone.net has no SPF record, which makes yours void",
            None,
        ),
        (["v=spf1 a:smtp.brand.net include:brand.net ~all"], "leads back to itself", None),
        (["v=spf1 a:smtp.brand.net ptr ~all"], "uses “ptr”", None),
        (
            ["v=spf1 a:smtp.brand.net a:n1.net a:n2.net a:n3.net ~all"],
            "3 of the names in it do not exist",
            None,
        ),
    ],
)
def test_spf_that_is_wrong_says_how_and_what_to_set(in_order, name_server, records, words, wanted):
    name_server.set("brand.net", "TXT", *records)
    name_server.set("_spf.mail.net", "TXT", "v=spf1 ip4:198.51.100.0/24 -all")
    finding = of(in_order, "spf")
    assert words in " ".join(finding["said"])
    assert finding["state"] in ("wrong", "warning")
    if wanted:
        assert finding["wanted"] == wanted


def test_of_thousands_of_faults_some_are_said(in_order, name_server):
    name_server.set("brand.net", "TXT", "v=spf1 a:smtp.brand.net include:x.net ~all")
    name_server.set("x.net", "TXT", "v=spf1 " + "x " * 1_900 + "~all")
    assert len(of(in_order, "spf")["said"]) <= 11


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 ip4:11.22.33.0/24 -all",
        "v=spf1 +a:smtp.brand.net -all",
        "V=SPF1 include:_spf.brand.net ~all",
        "v=spf1 redirect=_spf.brand.net",
        "v=spf1 mx -all",
        "v=spf1 a:host.brand.net/24 -all",
    ],
)
def test_spf_that_allows_the_server_by_other_words_is_in_order(in_order, name_server, record):
    name_server.set("brand.net", "TXT", record)
    name_server.set("_spf.brand.net", "TXT", "v=spf1 ip4:11.22.33.44 -all")
    name_server.set("mx.brand.net", "A", PUBLIC)
    name_server.set("host.brand.net", "A", "11.22.33.7")
    finding = of(in_order, "spf")
    assert (finding["state"], finding["said"]) == ("good", ["It allows what your accounts send through."])


def test_a_server_that_spf_names_only_to_refuse_it_is_not_allowed(in_order, name_server):
    name_server.set("brand.net", "TXT", "v=spf1 -a:smtp.brand.net ~all")
    assert "does not allow a:smtp.brand.net" in said(in_order, "spf")


def test_more_than_ten_lookups_are_counted_through_all_includes(in_order, name_server):
    name_server.set("brand.net", "TXT", "v=spf1 a:smtp.brand.net include:one.net include:two.net ~all")
    for name in ("one.net", "two.net"):
        name_server.set(name, "TXT", "v=spf1 " + " ".join(f"include:{n}.{name}" for n in range(4)) + " -all")
        for n in range(4):
            name_server.set(f"{n}.{name}", "TXT", "v=spf1 ip4:192.0.2.1 -all")
    assert "It takes 11 DNS look-ups" in said(in_order, "spf")


def test_an_account_of_a_service_asks_for_its_include(in_order, workspace):
    an_account(workspace, provider="mailgun", name="Mailgun")
    assert of(in_order, "spf")["wanted"] == "v=spf1 a:smtp.brand.net include:mailgun.org ~all"


def test_what_allows_a_server_may_be_said_by_hand(in_order):
    in_order.spf_terms = "include:_spf.host.net"
    assert of(in_order, "spf")["wanted"] == "v=spf1 a:smtp.brand.net include:_spf.host.net ~all"


def test_without_a_server_of_its_own_a_domain_needs_no_spf(domain, name_server):
    finding = of(domain, "spf")
    assert (finding["state"], finding["wanted"]) == ("good", "")


def test_a_name_server_that_fails_makes_nothing_wrong(in_order, name_server):
    name_server.failing |= {"brand.net", "_dmarc.brand.net"}
    found = {each["subject"]: each for each in check(in_order)["records"]}
    assert found["spf"]["state"] == found["dmarc"]["state"] == found["mx"]["state"] == "unknown"
    assert found["spf"]["wanted"] == ""  # a second record would do harm


def test_a_silent_name_server_ends_a_question_in_time(name_server):
    name_server.silent.add("brand.net")
    dns = Dns(seconds=0.5)
    assert dns.ask("brand.net", "TXT").failed == "no name server answered in time"
    assert dns.ask("other.net", "TXT").failed == "the check took too long"


def test_where_nobody_answers_at_all_a_check_ends_soon(name_server, monkeypatch):
    monkeypatch.setattr("delivery.domains.lookup.QUESTION_SECONDS", 0.2)
    names = [f"{n}.net" for n in range(9)]
    name_server.silent |= set(names)
    dns = Dns()
    assert {dns.ask(name, "A").failed for name in names} == {"no name server answered in time"}
    assert len({name for name, _ in name_server.asked}) == 3


def test_an_answer_too_long_for_udp_comes_by_tcp(name_server):
    name_server.set("brand.net", "TXT", *[f"{n}" * 200 for n in range(9)])
    assert len(Dns().ask("brand.net", "TXT").records) == 9


# --- DKIM -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record: [record.replace("p=", "p=A", 1)], "Only a part of the key stands there, or more"),
        (lambda record: ["v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0B"], "cut off after 20 of 392 characters"),
        (lambda record: ["v=DKIM1; k=rsa; p="], "revoked"),
        (lambda record: [record.replace("DKIM1", "DKIM2")], "only v=DKIM1 counts"),
        (lambda record: [record.replace("k=rsa", "k=ed25519")], "It says k=ed25519"),
        (lambda record: [record.replace("k=rsa", "h=sha1")], "forbids SHA-256"),
        (lambda record: [record[:250], record[250:]], "split into 2 records"),
        (lambda record: [record, "v=DKIM1; p=MIGfMA0"], "2 records stand here"),
        (lambda record: [record[:200] + '" "' + record[200:]], "split wrongly"),
        (lambda record: [record.replace("p=", "")], "without “p=” before it"),
        (lambda record: [record.replace("k=rsa", "t=y")], "only tests DKIM"),
        (lambda record: ["v=DKIM1; p=MIGfMA0GCSq"], "Another key stands there"),
        (lambda record: [], "There is no record at"),
    ],
)
def test_a_dkim_record_that_is_wrong_says_how(in_order, name_server, change, words):
    key = in_order.keys.get()
    name_server.drop(key.host, "TXT")
    if records := change(key.record):
        name_server.set(key.host, "TXT", *records)
    finding = of(in_order, "dkim")
    assert words in " ".join(finding["said"])
    assert finding["state"] in ("wrong", "warning")


def test_a_key_split_into_strings_or_led_to_by_a_cname_is_in_order(in_order, name_server):
    key = in_order.keys.get()
    name_server.drop(key.host, "TXT")
    name_server.set(key.host, "CNAME", "key.host.net")
    name_server.set("key.host.net", "TXT", (key.record[:30], key.record[30:200], key.record[200:]))
    assert of(in_order, "dkim")["state"] == "good"


def test_keys_of_others_are_looked_up_by_their_selectors(in_order, name_server, workspace):
    in_order.other_selectors, public = "s1 s2 s3", in_order.keys.get().public_key
    name_server.set("s1._domainkey.brand.net", "TXT", f"k=rsa; p={public}")
    name_server.set("s2._domainkey.brand.net", "TXT", f"k=rsa; p={public[:-40]}")
    found = [each for each in check(in_order)["records"] if each["subject"] == "dkim_other"]
    assert [each["state"] for each in found] == ["good", "wrong", "wrong"]
    assert "cut off" in found[1]["said"][-1]


def services_keys(domain):
    found = [each for each in check(domain)["records"] if each["provider"]]
    return [(each["label"], each["host"], each["state"]) for each in found]


def test_the_keys_of_a_service_are_looked_up_by_the_names_that_everybody_has_there(
    in_order, name_server, workspace
):
    an_account(workspace, provider="sendgrid", name="Ours")
    public = in_order.keys.get().public_key
    name_server.set("s2._domainkey.brand.net", "TXT", f"k=rsa; p={public}")
    assert services_keys(in_order) == [("DKIM of SendGrid", "s2._domainkey.brand.net", "good")]
    in_order.other_selectors = "s2"  # named by hand, it stands there once
    assert services_keys(in_order) == []


def test_a_service_without_a_key_in_place_is_worth_a_look_and_blocks_nothing(
    in_order, name_server, workspace
):
    account = an_account(workspace, provider="sendgrid", name="Ours")
    (finding,) = [each for each in check(in_order)["records"] if each["provider"]]
    assert (finding["state"], finding["required"]) == ("warning", False)
    assert "No key stands under s1, s2 or m1." in finding["said"][0]
    public = in_order.keys.get().public_key
    name_server.set("s1._domainkey.brand.net", "TXT", f"k=rsa; p={public[:-40]}")
    (finding,) = [each for each in check(in_order)["records"] if each["provider"]]
    assert (finding["state"], "cut off" in finding["said"][0]) == ("warning", True)
    account.sender_domains = ["other.net"]
    account.save()
    assert services_keys(in_order) == []


def test_nothing_is_missed_of_a_service_that_names_each_key_its_own_way(in_order, workspace):
    for name in ("mailgun", "postmark", "amazon_ses"):
        an_account(workspace, provider=name, name=name)
    assert services_keys(in_order) == []


def test_a_new_key_signs_once_its_record_is_found_and_the_old_one_no_more(in_order, name_server, alice):
    old = in_order.keys.get()
    new = actions.rotate(in_order, by=alice)
    actions.run_check(in_order.pk)
    old.refresh_from_db(), new.refresh_from_db()
    assert (old.retired_at, new.signs_from) == (None, None)
    in_order.refresh_from_db()
    assert {each.label for each in standing.findings(in_order, "records") if "DKIM" in each.label} == {
        "DKIM",
        "DKIM, next key",
    }
    with pytest.raises(actions.KeyWaits):
        actions.rotate(in_order, by=alice)

    name_server.set(new.host, "TXT", new.record)
    actions.run_check(in_order.pk)
    old.refresh_from_db(), new.refresh_from_db()
    assert old.retired_at is not None
    assert new.signs_from is not None
    in_order.refresh_from_db()
    labels = {
        each.host: each.label for each in standing.findings(in_order, "records") if "DKIM" in each.label
    }
    assert labels == {old.host: "DKIM, old key", new.host: "DKIM"}
    assert standing.state_of(in_order) == "good"
    assert "domain.key_taken_up" in AuditEntry.objects.values_list("verb", flat=True)


# --- DMARC, MX, return path, servers --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("records", "state", "words"),
    [
        (["v=DMARC1; p=none; rua=mailto:d@brand.net"], "good", "p=none only watches"),
        (["v=DMARC1; p=quarantine; adkim=s"], "good", "adkim=s"),
        (["v=DMARC1; p=reject; pct=50; ri=3600"], "good", "pct=, ri= means nothing any more"),
        (["v=DMARC1; rua=mailto:d@brand.net"], "good", "p=none only watches"),
        (["v=DMARC1; p=block"], "wrong", "must be none, quarantine or reject, and is “block”"),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "wrong", "There are 2 DMARC records"),
        (["p=none; v=DMARC1"], "wrong", "does not begin with v=DMARC1"),
        (["v=dmarc1; p=none"], "wrong", "does not begin with v=DMARC1"),
    ],
)
def test_dmarc(in_order, name_server, records, state, words):
    name_server.set("_dmarc.brand.net", "TXT", *records)
    finding = of(in_order, "dmarc")
    assert finding["state"] == state
    assert words in " ".join(finding["said"])
    assert not any(f"{gone}=" in finding["wanted"] for gone in ("rf",))


def test_an_odd_policy_is_put_right_and_the_rest_kept(in_order, name_server):
    name_server.set("_dmarc.brand.net", "TXT", "v=DMARC1; p=block; rua=mailto:d@brand.net")
    assert of(in_order, "dmarc")["wanted"] == "v=DMARC1; p=none; rua=mailto:d@brand.net"


def test_a_record_of_any_bytes_is_kept_and_shown(in_order, name_server, sign_in, alice):
    name_server.set("_dmarc.brand.net", "TXT", "v=DMARC1; p=\0\x01<script>é" + "x" * 5000)
    actions.run_check(in_order.pk)
    answer = sign_in(alice).get(f"/sending/domains/{in_order.pk}/")
    assert "<script>é" not in answer.content.decode()
    assert "&lt;script&gt;" in answer.content.decode()


def test_the_policy_of_the_domain_above_holds(workspace, name_server):
    name_server.set("_dmarc.brand.net", "TXT", "v=DMARC1; p=reject; sp=quarantine")
    finding = dmarc.check("m.news.brand.net", Dns())
    assert (finding.state, finding.host, finding.wanted) == ("good", "_dmarc.brand.net", "")
    assert "Mail that fails is to be put aside." in finding.said


@pytest.mark.parametrize(
    ("records", "owner"),
    [
        ({"brand.co.uk": "p=none", "co.uk": "p=reject; psd=y"}, "brand.co.uk"),
        ({"news.brand.co.uk": "p=none; psd=n", "brand.co.uk": "p=none"}, "news.brand.co.uk"),
        ({"a.news.brand.co.uk": "p=none", "brand.co.uk": "p=none"}, "brand.co.uk"),
        ({}, "a.news.brand.co.uk"),
    ],
)
def test_who_owns_a_name_is_found_by_walking_up_the_tree(name_server, records, owner):
    for name, tags in records.items():
        name_server.set(f"_dmarc.{name}", "TXT", f"v=DMARC1; {tags}")
    assert dmarc.organizational("a.news.brand.co.uk", Dns()) == owner


def test_the_walk_up_a_very_long_name_asks_eight_times_at_most():
    names = dmarc.names_walked("a.b.c.d.e.f.g.h.i.j.mail.brand.net")
    assert (len(names), names[0], names[1]) == (
        8,
        "a.b.c.d.e.f.g.h.i.j.mail.brand.net",
        "g.h.i.j.mail.brand.net",
    )


def test_a_domain_that_takes_no_mail_is_wrong(in_order, name_server):
    name_server.set("brand.net", "MX", "0 ")
    assert "takes no mail" in said(in_order, "mx")


def test_a_return_path_of_its_own_has_an_mx_and_spf_there(in_order, relay, name_server):
    relay.settings |= {"return_path": "bounces.brand.net"}
    relay.save()
    found = {each["label"]: each for each in check(in_order)["records"]}
    assert found["Return path, MX"]["state"] == found["Return path, SPF"]["state"] == "wrong"
    assert found["Return path, SPF"]["wanted"] == "v=spf1 a:smtp.brand.net ~all"
    name_server.set("bounces.brand.net", "MX", "10 volley.brand.net")
    name_server.set("bounces.brand.net", "TXT", "v=spf1 a:smtp.brand.net -all")
    found = {each["label"]: each["state"] for each in check(in_order)["records"]}
    assert found["Return path, MX"] == found["Return path, SPF"] == "good"


def test_a_server_whose_name_does_not_lead_back_is_told_apart(in_order, name_server):
    name_server.set("44.33.22.11.in-addr.arpa", "PTR", "static.host.net")
    (host,) = check(in_order)["hosts"]
    assert host["said"] == [f"{PUBLIC} is called static.host.net, and that name does not lead back to it."]
    name_server.drop("44.33.22.11.in-addr.arpa", "PTR")
    (host,) = check(in_order)["hosts"]
    assert "has no name (PTR)" in host["said"][0]


# --- Blocklists -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code", "state", "words"),
    [
        ("44.33.22.11.zen.spamhaus.org", "127.0.0.2", "wrong", "SBL: a known source of spam"),
        ("44.33.22.11.zen.spamhaus.org", "127.0.0.10", "wrong", "PBL"),
        ("44.33.22.11.zen.spamhaus.org", "127.255.255.254", "unknown", "cannot be asked from here"),
        ("44.33.22.11.zen.spamhaus.org", "127.255.255.255", "unknown", "asked it too often"),
        ("brand.net.dbl.spamhaus.org", "127.0.1.4", "wrong", "phishing"),
        ("brand.net.multi.surbl.org", "127.0.0.24", "wrong", "phishing, malware"),
        ("brand.net.multi.uribl.com", "127.0.0.1", "unknown", "cannot be asked from here"),
        ("brand.net.multi.uribl.com", "127.0.0.2", "wrong", "black"),
        ("44.33.22.11.bl.spamcop.net", "203.0.113.9", "unknown", "a name server made it up"),
    ],
)
def test_the_answer_of_a_blocklist_is_explained(name_server, open_lists, name, code, state, words):
    name_server.set(name, "A", code)
    found = [each for each in blocklists.check("brand.net", [PUBLIC], Dns()) if each.state != "good"]
    assert [(each.state, words in " ".join(each.said)) for each in found] == [(state, True)]


def test_a_blocklist_that_a_name_server_hides_is_not_taken_for_a_good_answer(name_server):
    found = blocklists.check("brand.net", [PUBLIC], Dns())
    assert {each.state for each in found} == {"unknown"}
    assert all("its test entry is not found" in each.said[0] for each in found)


def test_an_address_of_ipv6_is_asked_for_backwards_by_its_digits():
    name = blocklists.name_asked("2001:db8::1", "zen.spamhaus.org")
    assert name == "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.zen.spamhaus.org"


# --- Checks by the clock, names -------------------------------------------------------------------------


def test_the_clock_has_each_domain_checked_once_a_day(workspace):
    now = timezone.now()
    fresh = a_domain(workspace, "fresh.net", checked_at=now)
    old = a_domain(workspace, "old.net", checked_at=now - timedelta(days=2))
    never = a_domain(workspace, "never.net", checked_at=None)
    asked = a_domain(workspace, "asked.net", checked_at=None, asked_at=now)
    assert [actions.ask_daily(), actions.ask_daily()] == [1, 1]
    assert actions.ask_daily() == 0
    times = dict(SendingDomain.objects.values_list("name", "asked_at"))
    assert times[fresh.name] is None
    assert times[asked.name] == now
    assert times[old.name]
    assert times[never.name]


@pytest.mark.parametrize(
    ("name", "is_public"),
    [
        ("brand.net", True),
        ("news.brand.com", True),
        ("acme.example", False),
        ("mail.example.com", False),
        ("localhost", False),
        ("mail.test", False),
        ("intranet", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_names_that_dns_cannot_know(name, is_public):
    assert naming.is_public(name) is is_public


def test_a_merged_record_keeps_a_redirect():
    assert spf.merged(["v=spf1 redirect=_spf.brand.net"], ["a:smtp.brand.net"]) == (
        "v=spf1 a:smtp.brand.net redirect=_spf.brand.net"
    )


# --- Alarms ---------------------------------------------------------------------------------------------


def alarm(domain):
    """What the next check raises."""
    actions.run_check(domain.pk)
    domain.refresh_from_db()
    return domain.alarm


def test_a_record_that_was_in_order_and_is_gone_raises_an_alarm_until_it_is_back(
    in_order, open_lists, name_server, workspace
):
    assert alarm(in_order) == ""
    name_server.drop("_dmarc.brand.net", "TXT")
    assert alarm(in_order).startswith("DMARC was in order and is not any more: There is no DMARC record,")
    assert [each.name for each in alarms.raised(workspace)] == ["brand.net"]
    name_server.set("brand.net", "TXT", "v=spf1 -all")
    assert alarm(in_order).endswith("And 1 more.")
    name_server.set("brand.net", "TXT", "v=spf1 a:smtp.brand.net ~all")
    name_server.set("_dmarc.brand.net", "TXT", "v=DMARC1; p=none")
    assert alarm(in_order) == ""
    assert not alarms.raised(workspace)


def test_a_policy_of_the_domain_above_that_is_gone_raises_one_too(workspace, name_server):
    part = a_domain(workspace, "mail.brand.net")
    name_server.set("_dmarc.brand.net", "TXT", "v=DMARC1; p=reject")
    assert alarm(part) == ""
    name_server.drop("_dmarc.brand.net", "TXT")
    assert alarm(part).startswith("DMARC was in order")


def test_a_domain_that_is_being_set_up_raises_none(domain, relay, name_server, open_lists):
    assert alarm(domain) == alarm(domain) == ""
    assert standing.state_of(domain) == "wrong"


def test_a_blocklist_raises_one_at_once(in_order, name_server, open_lists):
    name_server.set("brand.net.dbl.spamhaus.org", "A", "127.0.1.2")
    assert alarm(in_order) == (
        "brand.net is on the blocklist Spamhaus DBL: a domain of spam. "
        "Ask to be taken off at https://check.spamhaus.org."
    )


def test_a_name_server_that_fails_neither_raises_nor_ends_an_alarm(in_order, open_lists, name_server):
    alarm(in_order)
    name_server.failing.add("_dmarc.brand.net")
    assert alarm(in_order) == ""
    name_server.failing.clear()
    name_server.drop("_dmarc.brand.net", "TXT")
    raised = alarm(in_order)
    assert raised
    name_server.failing.add("_dmarc.brand.net")
    assert alarm(in_order) == raised
