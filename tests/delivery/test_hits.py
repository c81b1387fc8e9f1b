"""The requests that a message's pixel and links make: answered whatever is away, and each kept once."""

import datetime
from http import HTTPStatus

import pytest
import redis
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from config.fast import in_front_of
from delivery.feedback import drain, stream
from delivery.feedback.apply import apply_fit
from delivery.models import Delivery, Event, Incoming, Mailing
from delivery.tracking import hits
from delivery.tracking.machines import lists, why_machine
from delivery.tracking.signing import Target, link_part, mark, person_token
from tests.builders import a_contact, an_account

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
SHOP = "https://shop.example/spring?size=m&color=green#top"


@pytest.fixture
def spring(workspace):
    """A mailing whose first recipient, Anna, got it an hour ago."""
    mailing = Mailing.objects.create(
        workspace=workspace, name="Spring", account=an_account(workspace), content={}, total_count=1
    )
    Delivery.objects.create(
        mailing=mailing,
        number=1,
        contact=a_contact(workspace),
        email="anna@example.com",
        state="accepted",
        settled_at=timezone.now() - datetime.timedelta(hours=1),
    )
    return mailing


def link(mailing, url=SHOP, number=1):
    return f"/c/{person_token(mailing.pk, number)}/{link_part(mailing.pk, Target(url))}"


def picture(mailing, number=1):
    return f"/o/{person_token(mailing.pk, number)}.gif"


def ask(path, method="GET", agent=IPHONE, ip="203.0.113.9", **headers):
    """Ask as a mail program does, past Django."""
    answer = {}

    def start(status, headers):
        answer.update(status=int(status.split()[0]), headers=dict(headers))

    environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "HTTP_USER_AGENT": agent, "REMOTE_ADDR": ip}
    answer["body"] = b"".join(in_front_of(None)(environ | headers, start))
    return answer


def test_a_link_leads_where_the_message_said_and_is_counted(spring):
    answer = ask(link(spring))
    assert (answer["status"], answer["headers"]["Location"]) == (302, SHOP)
    assert "Set-Cookie" not in answer["headers"]
    drain.drain("hit")
    event = Event.objects.get()
    assert (event.kind, event.url, event.is_machine, event.number) == ("clicked", SHOP, False, 1)
    spring.refresh_from_db()
    assert (spring.clicked_count, spring.click_total) == (1, 1)


def test_a_picture_is_shown_never_kept_by_caches_and_counted(spring):
    answer = ask(picture(spring))
    assert answer["headers"]["Content-Type"] == "image/gif"
    assert "no-store" in answer["headers"]["Cache-Control"]
    assert answer["body"].startswith(b"GIF89a")
    drain.drain("hit")
    spring.refresh_from_db()
    assert (spring.opened_count, spring.open_total) == (1, 1)


def test_two_clicks_are_two_and_one_that_is_read_twice_is_one(spring):
    ask(link(spring))
    ask(link(spring))
    entries = stream.take("hit", 10)
    for facts in (drain.readers["hit"](entries), drain.readers["hit"](entries)):
        apply_fit([fact for each in facts for fact in each])
    spring.refresh_from_db()
    assert (spring.clicked_count, spring.click_total) == (1, 2)


@pytest.mark.parametrize(
    ("written", "led_to"),
    [
        (
            "https://bücher.example/grüße?w=ä#ö",
            "https://xn--bcher-kva.example/gr%C3%BC%C3%9Fe?w=%C3%A4#%C3%B6",
        ),
        ("https://shop.example/100%25?a=b%20c", "https://shop.example/100%25?a=b%20c"),
        ("https://shop.example/a\r\nSet-Cookie: x", "https://shop.example/a%0D%0ASet-Cookie:%20x"),
    ],
)
def test_any_letters_go_into_the_header_as_browsers_read_them(spring, written, led_to):
    assert ask(link(spring, written))["headers"]["Location"] == led_to


def test_head_leads_on_and_counts_nothing(spring):
    assert ask(link(spring), "HEAD")["status"] == 302
    assert ask(picture(spring), "HEAD")["body"] == b""
    assert stream.waiting("hit") == 0
    assert ask(link(spring), "POST")["status"] == HTTPStatus.METHOD_NOT_ALLOWED


def other_letter(word, at):
    return word[:at] + ("A" if word[at] != "A" else "B") + word[at + 1 :]


def test_whatever_we_did_not_sign_leads_nowhere_and_is_not_kept(spring, workspace):
    other = Mailing.objects.create(workspace=workspace, name="Other", account=spring.account, content={})
    person, part = person_token(spring.pk, 1), link_part(spring.pk, Target(SHOP))
    bad = [
        f"/c/{person}/{link_part(other.pk, Target(SHOP))}",  # of another mailing
        *(f"/c/{other_letter(person, at)}/{part}" for at in range(len(person))),
        *(f"/c/{person}/{other_letter(part, at)}" for at in range(len(part))),
        *(f"/o/{other_letter(person, at)}.gif" for at in range(len(person))),
        f"/c/{person}/",
        f"/c/{person}/https://evil.example/",
        f"/c/{person}=/{part}",
        f"/o/{person}",
        "/c/",
        "/o/é.gif",
        f"/c/{person}/{part}/",
    ]
    for path in bad:
        assert ask(path)["status"] == 404, path
    assert stream.waiting("hit") == 0
    assert not Incoming.objects.exists()


@pytest.mark.parametrize(
    ("accepts", "says"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "Dieser Link ist unvollständig."),
        ("fr-CA", "Ce lien est incomplet."),
        ("ja", "This link is not complete."),
        ("", "This link is not complete."),
        ("\x00;;q=x", "This link is not complete."),
    ],
)
def test_half_a_link_says_so_in_the_language_of_the_browser(spring, accepts, says):
    for path in (link(spring)[:-2], picture(spring)[:-2]):
        answer = ask(path, HTTP_ACCEPT_LANGUAGE=accepts)
        assert answer["status"] == 404
        assert answer["body"].decode().startswith(says)
        assert answer["headers"]["Content-Length"] == str(len(answer["body"]))


def test_links_outlive_a_change_of_the_key(spring, settings):
    path = link(spring)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the next one"
    assert ask(path)["status"] == 302


def test_with_redis_away_the_table_keeps_it(spring, monkeypatch):
    def away():
        raise redis.ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(stream, "redis_client", away)
        assert ask(link(spring))["status"] == 302
    assert Incoming.objects.count() == 1
    drain.drain("hit")
    assert Event.objects.get().url == SHOP


def test_with_everything_away_the_reader_still_gets_there(spring, monkeypatch):
    def away(*_):
        raise DatabaseError

    monkeypatch.setattr(stream, "put", away)
    monkeypatch.setattr(hits, "close_old_connections", lambda: None)
    assert ask(link(spring))["headers"]["Location"] == SHOP
    assert ask(picture(spring))["status"] == 200


def test_in_privacy_mode_a_hit_is_nobodys(spring):
    ask(link(spring, number=0))
    ask(picture(spring, number=0))
    drain.drain("hit")
    assert {(event.contact_id, event.number) for event in Event.objects.all()} == {(None, None)}
    spring.refresh_from_db()
    assert (spring.open_total, spring.click_total, spring.opened_count) == (1, 1, 0)
    assert Delivery.objects.get().clicked_at is None


def test_django_answers_the_same(spring):
    assert Client().get(link(spring))["Location"] == SHOP
    assert Client().get("/.well-known/volley").content.decode().strip() == mark()


def test_a_workspaces_own_domain_is_ours_for_the_pages_of_mail_alone(settings, spring):
    settings.PUBLIC_URL = "https://volley.example"
    settings.ALLOWED_HOSTS = ["volley.example"]
    seen = []

    def django(environ, _start):
        seen.append((environ["HTTP_HOST"], environ.get("HTTP_ORIGIN")))
        return []

    for path in ("/u/token/", "/contacts/"):
        environ = {"PATH_INFO": path, "HTTP_HOST": "t.brand.com", "HTTP_ORIGIN": "https://t.brand.com"}
        in_front_of(django)(environ, None)
    assert seen == [("volley.example", "https://volley.example"), ("t.brand.com", "https://t.brand.com")]


def test_an_origin_that_is_no_address_is_left_as_it_is(settings):
    settings.ALLOWED_HOSTS = ["volley.example"]
    seen = []
    environ = {"PATH_INFO": "/u/token/", "HTTP_HOST": "t.brand.com", "HTTP_ORIGIN": "http://["}
    in_front_of(lambda environ, _: seen.append(environ["HTTP_ORIGIN"]) or [])(environ, None)
    assert seen == ["http://["]


CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
THUNDERBIRD = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.2.0"
OUTLOOK = "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; Microsoft Outlook 16.0.17726; ms-office)"
HOME = "203.0.113.9"
# kind, agent, address, seconds since delivery: why it was a machine ("" for a person)
SEEN = [
    ("opened", IPHONE, HOME, 600, ""),
    ("opened", THUNDERBIRD, HOME, 600, ""),
    ("opened", OUTLOOK, HOME, 600, ""),
    ("opened", "", HOME, 600, "No browser’s agent"),
    ("clicked", CHROME, HOME, 600, ""),
    ("clicked", IPHONE, "2001:db8::7", 600, ""),
    ("opened", GMAIL, "66.249.84.1", 600, ""),
    ("opened", GMAIL, "66.249.84.1", 4, "Seconds after delivery"),
    ("opened", YAHOO, "87.248.110.1", 600, ""),
    ("opened", "Mozilla/5.0", "104.28.30.1", 600, "Apple Mail Privacy Protection"),
    ("opened", IPHONE, "17.58.97.1", 600, "Apple Mail Privacy Protection"),
    ("clicked", CHROME, "40.94.20.1", 2, "Seconds after delivery"),  # Safe Links, from the cloud
    ("clicked", CHROME, "40.107.22.52", 600, "Microsoft Safe Links"),
    ("clicked", CHROME, "::ffff:104.47.0.51", 600, "Microsoft Safe Links"),
    ("clicked", CHROME, "67.231.149.10", 600, "Proofpoint"),
    ("clicked", CHROME, "148.163.135.1", 600, "Proofpoint"),
    ("clicked", CHROME, "207.211.31.5", 600, "Mimecast"),
    ("clicked", CHROME, "209.222.82.7", 600, "Barracuda"),
    ("clicked", "Mozilla/5.0 BarracudaCentral", HOME, 600, "Security scanner"),
    ("clicked", "python-requests/2.32", HOME, 600, "Program"),
    ("clicked", "Mozilla/5.0 (compatible; bingbot/2.0)", HOME, 600, "Program"),
    ("clicked", "facebookexternalhit/1.1", HOME, 600, "Link preview"),
    ("clicked", "Mozilla/5.0", HOME, 600, "No browser’s agent"),
    ("clicked", CHROME, HOME, None, ""),
    ("clicked", CHROME, "not an address", 600, ""),
]


@pytest.mark.parametrize(("kind", "agent", "ip", "seconds", "why"), SEEN)
def test_who_it_was(kind, agent, ip, seconds, why):
    assert why_machine(kind, agent=agent, ip=ip, seconds=seconds) == why


def test_an_operator_adds_networks_and_agents(settings):
    settings.MACHINE_NETWORKS, settings.MACHINE_AGENTS = ["198.51.100.0/24"], ["AcmeGuard"]
    lists.cache_clear()
    try:
        seen = [why_machine("clicked", agent=CHROME, ip="198.51.100.7", seconds=600)]
        seen += [why_machine("clicked", agent="acmeguard 2", ip=HOME, seconds=600)]
        assert seen == ["On this installation’s list"] * 2
    finally:
        lists.cache_clear()


def test_what_comes_before_the_message_is_settled_is_a_machines(spring):
    Delivery.objects.update(state="pending", settled_at=None)
    ask(link(spring))
    drain.drain("hit")
    assert Event.objects.get().why_machine == "Seconds after delivery"
    spring.refresh_from_db()
    assert (spring.clicked_count, spring.machine_click_total) == (0, 1)
