"""Bounces by mail: whom a return path names, what a mailbox says of whom, and that reading it again changes nothing."""

import contextlib
import datetime
import imaplib
import re
import smtplib
import socket
import threading
import time
from email import message_from_bytes
from email.policy import SMTP

import pytest
from django.db import OperationalError
from django.urls import reverse
from django.utils import timezone

from contacts.models import Subscription, Suppression
from delivery import jobs, links
from delivery.bounces import addresses, endpoint, mailboxes, microsoft, protocols, take
from delivery.bounces.forms import MailboxForm
from delivery.bounces.returned import Came
from delivery.bounces.take import packed
from delivery.feedback import drain, stream
from delivery.forms import AccountForm
from delivery.models import Delivery, Event, Mailbox, Mailing, Stray
from delivery.pipeline import molds
from delivery.providers import SMTP as SMTP_PROVIDER
from tests.builders import a_mailbox
from tests.delivery.post_servers import PostServer, SignIn
from tests.delivery.servers import a_free_port, served
from tests.people import a_workspace

DOMAIN = "bounces.acme.example"


@pytest.fixture
def post():
    server = PostServer().start()
    yield server
    server.close()


@pytest.fixture(params=["imap", "pop3"])
def mailbox(request, workspace, post):
    port = post.imap_port if request.param == "imap" else post.pop_port
    return a_mailbox(workspace, protocol=request.param, port=port)


@pytest.fixture
def spring(people, send_to_news, account):
    """A mailing to p1@example.com … p3@example.com, whose bounces come back to addresses of their own."""
    account.settings["return_path"] = DOMAIN
    account.save(update_fields=["settings"])
    people(3)
    mailing = send_to_news()
    jobs.send_batch(mailing_id=mailing.pk)
    mailing.refresh_from_db()
    assert mailing.accepted_count == 3
    return mailing


def now_header() -> str:
    return timezone.now().strftime("%a, %d %b %Y %H:%M:%S +0000")


def number_of(mailing, email) -> int:
    return Delivery.objects.get(mailing=mailing, email=email).number


def a_bounce(
    to: str, *, email="p1@example.com", status="5.1.1", said="550 5.1.1 User unknown", more=""
) -> bytes:
    return f"""Received: from mx.example.com by mail.acme.example; {now_header()}
From: MAILER-DAEMON@mx.example.com
To: {to}
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; {email}
Action: failed
Status: {status}
Diagnostic-Code: smtp; {said}

--b
Content-Type: message/rfc822

From: news@acme.example
{more}
Hi
--b--
""".encode()


def a_complaint(message_id: str) -> bytes:
    return f"""Received: from fbl.example by mail.acme.example; {now_header()}
From: fbl@provider.example
To: fbl@acme.example
Subject: FW: Spring
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
Version: 1

--b
Content-Type: message/rfc822

From: news@acme.example
Message-ID: <{message_id}>

Hi
--b--
""".encode()


def a_note(to: str, subject="unsubscribe", more="") -> bytes:
    return (
        f"From: p1@example.com\nTo: {to}\nDate: {now_header()}\nSubject: {subject}\n{more}\nHello\n".encode()
    )


def bounces_of(mailing, email="p1@example.com") -> str:
    return addresses.paths(DOMAIN).bounces_of(mailing.pk, number_of(mailing, email))


def leaves_of(mailing, email="p1@example.com") -> str:
    return addresses.paths(DOMAIN).leaves_of(mailing.pk, number_of(mailing, email))


def turn(mailbox) -> Mailbox:
    jobs.read_mailbox(mailbox_id=mailbox.pk)
    mailbox.refresh_from_db()
    return mailbox


# --- Addresses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [DOMAIN, f"returns@{DOMAIN}"])
def test_an_address_names_one_recipient_even_where_its_case_was_lost(path):
    made = addresses.paths(path)
    bounce, leave = made.bounces_of(7, 3), made.leaves_of(7, 3)
    assert bounce.split("+")[0] == ("returns" if "@" in path else "b")
    assert leave.split("+")[0] == ("returns" if "@" in path else "unsub")
    assert max(len(each.split("@")[0]) for each in (bounce, leave)) <= 64
    assert addresses.read(bounce.upper()) == (7, 3, False)
    assert addresses.read(f"prvs=0123abcdef={leave}") == (
        7,
        3,
        True,
    )  # some servers write a tag of theirs before it
    assert addresses.read(bounce.replace("@", "0@")) is None
    last = bounce.split("@")[0][-1]
    assert addresses.read(bounce.replace(f"{last}@", f"{'0' if last != '0' else '1'}@")) is None


@pytest.mark.parametrize("address", ["", "b+@x", "b+" + "0" * 44 + "@x", "b+" + "é" * 44 + "@x", "+" * 500])
def test_nonsense_is_no_address_of_ours(address):
    assert addresses.read(address) is None


def test_an_older_key_still_reads_addresses(settings):
    address = addresses.paths(DOMAIN).bounces_of(7, 3)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "a new one"
    assert addresses.read(address) == (7, 3, False)


def test_a_bounce_token_neither_unsubscribes_nor_is_it_turned_into_what_does():
    tokens = links.mail_tokens(7, 3)
    assert links.read_leave_token(tokens.bounce) is None
    assert links.read_bounce_token(tokens.unsubscribe) is None
    assert links.read_token(tokens.unsubscribe) is None


def test_each_message_has_a_return_path_and_an_address_to_leave_by(spring, server):
    assert {addresses.read(sender) for sender in server.senders} == {
        (spring.pk, number, False) for number in (1, 2, 3)
    }
    for recipient, source in server.messages:
        header = message_from_bytes(source, policy=SMTP)["List-Unsubscribe"]
        https, mailto = header.strip().split(", ")
        assert re.fullmatch(r"<http\S+/one-click/>", https)
        assert mailto == f"<mailto:{leaves_of(spring, recipient)}?subject=unsubscribe>"


def test_without_a_return_path_nothing_is_added(people, send_to_news, server):
    people(1)
    mailing = send_to_news()
    jobs.send_batch(mailing_id=mailing.pk)
    assert server.senders == ["news@acme.example"]
    assert b"mailto:" not in server.messages[0][1]


def test_a_mailbox_with_plus_addresses_is_where_people_leave_by_mail(workspace, people, send_to_news, server):
    a_mailbox(workspace, address="Returns@acme.example")
    people(1)
    mailing = send_to_news()
    jobs.send_batch(mailing_id=mailing.pk)
    to = re.search(rb"<mailto:(\S+)\?", server.messages[0][1])[1].decode()
    assert to.startswith("returns+")
    assert addresses.read(to) == (mailing.pk, 1, True)


def test_a_changed_return_path_holds_for_the_next_messages(spring, account):
    assert molds.mold_of(spring).frame.return_path == DOMAIN
    account.settings["return_path"] = "other.acme.example"
    account.save(update_fields=["settings"])
    assert molds.mold_of(Mailing.objects.get(pk=spring.pk)).frame.return_path == "other.acme.example"


@pytest.mark.parametrize(
    ("path", "is_good"),
    [
        ("", True),
        ("bounces.acme.example", True),
        ("returns@acme.example", True),
        ("returns+x@acme.example", False),
        ("a-very-long-local-part@acme.example", False),
        ("acme", False),
        ("acme..example", False),
        ("@", False),
        ("a b@acme.example", False),
    ],
)
def test_what_a_return_path_may_be(path, is_good):
    data = {
        "name": "A",
        "host": "mx.acme.example",
        "security": "none",
        "port": 25,
        "lanes": 1,
        "return_path": path,
    }
    form = AccountForm(data, provider=SMTP_PROVIDER)
    assert ("return_path" not in form.errors) is is_good


# --- Mailboxes ----------------------------------------------------------------------------------------------


def test_a_hard_bounce_is_known_by_its_address_and_suppresses_at_once(spring, post, mailbox):
    post.put(a_bounce(bounces_of(spring)))
    found = turn(mailbox)
    spring.refresh_from_db()
    event = Event.objects.get()
    assert (event.kind, event.number, event.code, event.said) == (
        "bounced",
        1,
        "5.1.1",
        "550 5.1.1 User unknown",
    )
    assert spring.bounced_count == 1
    assert Suppression.objects.get().email == "p1@example.com"
    assert (found.bounce_count, found.trouble, found.read_at is not None) == (1, "", True)
    spring.account.refresh_from_db()
    assert spring.account.bounce_at is not None
    assert post.messages == {}


def test_the_ledger_says_whose_address_it_was_not_the_bounce(spring, post, mailbox):
    post.put(a_bounce(bounces_of(spring), email="forwarded-to@elsewhere.example"))
    turn(mailbox)
    assert Suppression.objects.get().email == "p1@example.com"


def test_a_bounce_without_return_path_is_known_by_the_message_it_returns(spring, post, mailbox):
    token = links.tokens(spring.pk, 2).message
    post.put(
        a_bounce("news@acme.example", email="p2@example.com", more=f"Message-ID: <{token}@acme.example>\n")
    )
    turn(mailbox)
    assert Suppression.objects.get().email == "p2@example.com"


@pytest.mark.parametrize(
    ("said", "kind"),
    [("552 5.2.2 Mailbox full", "soft_bounced"), ("550 5.7.1 blocked using zen.spamhaus.org", "blocked")],
)
def test_what_may_pass_and_what_concerns_us_suppresses_nobody(spring, post, mailbox, said, kind):
    post.put(a_bounce(bounces_of(spring), status="5.1.1", said=said))
    turn(mailbox)
    assert Event.objects.get().kind == kind
    assert not Suppression.objects.exists()


def test_of_an_alias_that_reaches_somebody_still_nobody_is_suppressed(spring, post, mailbox):
    second = b"\nFinal-Recipient: rfc822; other@example.com\nAction: failed\nStatus: 4.2.2\n"
    source = a_bounce(bounces_of(spring))
    post.put(source.replace(b"User unknown\n", b"User unknown\n" + second, 1))
    turn(mailbox)
    assert [event.kind for event in Event.objects.all()] == ["soft_bounced"]


def test_a_complaint_suppresses(spring, post, mailbox):
    post.put(a_complaint(f"{links.tokens(spring.pk, 3).message}@acme.example"))
    assert turn(mailbox).complaint_count == 1
    assert Suppression.objects.get().reason == "complaint"
    assert Delivery.objects.get(mailing=spring, number=3).feedback == "complained"


def test_a_mail_to_leave_takes_the_person_off_the_list(spring, post, mailbox):
    post.put(
        a_note(leaves_of(spring), more="Auto-Submitted: auto-replied\n")
    )  # Apple's Mail says so of its own
    assert turn(mailbox).leave_count == 1
    statuses = dict(Subscription.objects.values_list("contact__email", "status"))
    assert statuses == {
        "p1@example.com": "unsubscribed",
        "p2@example.com": "subscribed",
        "p3@example.com": "subscribed",
    }
    spring.refresh_from_db()
    assert spring.unsubscribed_count == 1
    assert post.messages == {}


@pytest.mark.parametrize("subject", ["Automatic reply: Spring", "Re: Spring", "Please unsubscribe me"])
def test_a_reply_to_the_return_path_unsubscribes_and_suppresses_nobody(spring, post, mailbox, subject):
    post.put(a_note(bounces_of(spring), subject))
    turn(mailbox)
    assert not Event.objects.exists()
    assert set(Subscription.objects.values_list("status", flat=True)) == {"subscribed"}


def test_what_is_not_about_us_stays_and_is_counted(spring, post, mailbox):
    post.put(
        a_note("bounces@acme.example", "Lunch?"),
        a_bounce("bounces@acme.example"),
        a_bounce(bounces_of(spring)),
    )
    found = turn(mailbox)
    assert (found.other_count, found.bounce_count) == (2, 1)
    assert len(post.messages) == 2
    assert Stray.objects.get().email == "p1@example.com"
    assert [each.email for each in Suppression.objects.all()] == ["p1@example.com"]
    assert (turn(mailbox).other_count, turn(mailbox).bounce_count) == (2, 1)  # not read again
    post.put(a_note("bounces@acme.example", "Dinner?"))
    assert turn(mailbox).other_count == 3


def test_kept_messages_are_not_read_again(spring, post, mailbox):
    Mailbox.objects.update(deletes=False)
    post.put(a_bounce(bounces_of(spring)))
    assert turn(mailbox).bounce_count == 1
    assert turn(mailbox).bounce_count == 1
    assert len(post.messages) == 1


def test_a_crash_before_the_server_was_told_changes_nothing_the_next_time(spring, post, mailbox):
    post.put(a_bounce(bounces_of(spring)), a_note(leaves_of(spring, "p2@example.com")))
    post.fails_at = "STORE" if mailbox.protocol == "imap" else "DELE"
    found = turn(mailbox)
    assert found.trouble
    assert found.leased_until is None
    assert len(post.messages) == 2
    assert Event.objects.filter(kind="bounced").count() == 1
    post.fails_at = ""
    found = turn(mailbox)
    assert (found.trouble, found.bounce_count, found.leave_count) == ("", 1, 1)
    assert Event.objects.filter(kind="bounced").count() == 1
    spring.refresh_from_db()
    assert (spring.bounced_count, spring.unsubscribed_count) == (1, 1)
    assert post.messages == {}


def test_another_workspaces_mailbox_says_nothing_about_ours(spring, post):
    other = a_mailbox(a_workspace("Elsewhere"), port=post.imap_port)
    post.put(a_bounce(bounces_of(spring)), a_note(leaves_of(spring)))
    assert turn(other).other_count == 2
    assert not Event.objects.exists()
    assert not Suppression.objects.exists()
    assert set(Subscription.objects.values_list("status", flat=True)) == {"subscribed"}


def test_a_folder_made_anew_is_read_from_its_beginning(spring, workspace, post):
    mailbox = a_mailbox(workspace, port=post.imap_port)
    for number in range(1, 4):
        post.put(a_bounce(bounces_of(spring, f"p{number}@example.com")))
    assert turn(mailbox).bounce_count == 3
    post.validity += 1
    post.flags.clear()
    post.put(a_bounce(bounces_of(spring), said="550 5.1.1 Still unknown"))
    assert turn(mailbox).bounce_count == 4


def test_without_uidplus_it_is_deleted_all_the_same(spring, workspace, post):
    post.offers = "IMAP4rev1"
    post.put(a_bounce(bounces_of(spring)))
    turn(a_mailbox(workspace, port=post.imap_port))
    assert post.messages == {}


def test_many_are_read_in_pieces_and_a_big_one_in_part(spring, post, mailbox, monkeypatch):
    monkeypatch.setattr(mailboxes, "AT_ONCE", 3)
    for _ in range(7):
        post.put(a_note("bounces@acme.example", "Hello"))
    post.put(a_bounce(bounces_of(spring)) + b"x" * 70 + b"\n" + b"a long line " * 500_000)
    found = turn(mailbox)
    assert (found.other_count, found.bounce_count) == (7, 1)


def test_two_workers_do_not_read_it_at_once(workspace, post):
    mailbox = a_mailbox(
        workspace, port=post.imap_port, leased_until=timezone.now() + datetime.timedelta(minutes=5)
    )
    post.put(a_note("x@acme.example"))
    assert turn(mailbox).read_at is None
    Mailbox.objects.update(leased_until=timezone.now() - datetime.timedelta(seconds=1))  # its worker died
    assert turn(mailbox).other_count == 1


def test_trouble_is_said_and_tried_again_later(workspace, post, mailbox):
    post.password = "another"
    found = turn(mailbox)
    assert "Invalid credentials" in found.trouble
    assert found.due_at > timezone.now() + datetime.timedelta(minutes=4)
    post.password = "secret"
    assert turn(mailbox).trouble == ""


def test_the_clock_asks_workers_once_a_minute(workspace, post, monkeypatch):
    asked = []
    monkeypatch.setattr(mailboxes, "enqueue", lambda job, **arguments: asked.append(arguments["mailbox_id"]))
    mailbox = a_mailbox(workspace, port=post.imap_port)
    mailboxes.ask_workers()
    mailboxes.ask_workers()
    assert asked == [mailbox.pk]


def test_a_copied_database_reads_nothing_by_itself(workspace, post, monkeypatch):
    asked = []
    monkeypatch.setattr(mailboxes, "enqueue", lambda job, **arguments: asked.append(job))
    a_mailbox(workspace, port=post.imap_port)
    mailboxes.hold("This is a copy.")
    mailboxes.ask_workers()
    assert asked == []
    assert Mailbox.objects.get().trouble == "This is a copy."


# --- Pages --------------------------------------------------------------------------------------------------


def typed(post, **fields):
    data = {
        "name": "Returns",
        "protocol": "imap",
        "host": "127.0.0.1",
        "security": "none",
        "port": post.imap_port,
    }
    return data | {"user": "bounces", "password": "secret", "folder": "INBOX", "deletes": "on"} | fields


def test_a_mailbox_is_added_tested_changed_and_deleted(ada, sign_in, post):
    client = sign_in(ada)
    assert b"No mailbox yet" in client.get(reverse("mailboxes")).content
    assert client.post(reverse("mailbox_new"), typed(post)).status_code == 302
    mailbox = Mailbox.objects.get()
    assert b"secret" not in bytes(mailbox.secrets)
    client.post(reverse("mailbox_test", args=[mailbox.pk]))
    assert b"It can be read" in client.get(reverse("mailboxes")).content
    page = client.get(reverse("mailbox_edit", args=[mailbox.pk])).content
    assert b'"secret"' not in page
    client.post(reverse("mailbox_edit", args=[mailbox.pk]), typed(post, name="Other", password=""))
    assert Mailbox.objects.get().name == "Other"
    assert b"It can be read" in client.get(reverse("mailboxes")).content
    client.post(reverse("mailbox_edit", args=[mailbox.pk]), typed(post, folder="Junk", password=""))
    assert b"It can be read" not in client.get(reverse("mailboxes")).content, "that was the other folder"
    client.post(reverse("mailbox_edit", args=[mailbox.pk]), typed(post, name="Other", password=""))
    assert mailboxes.test(Mailbox.objects.get()) == ""  # with the password it had
    client.post(reverse("mailbox_read", args=[mailbox.pk]))
    client.post(reverse("mailbox_delete", args=[mailbox.pk]))
    assert not Mailbox.objects.exists()


def test_what_is_wrong_is_said_beside_the_field(ada, sign_in, post):
    answer = sign_in(ada).post(
        reverse("mailbox_new"), typed(post, host="http://x", password="", folder='a"b')
    )
    assert answer.status_code == 422
    for words in ("Type the host name alone", "Type the password", "neither quotation marks", "Returns"):
        assert words in answer.content.decode()


def test_the_same_mailbox_is_not_read_twice(ada, sign_in, post):
    client = sign_in(ada)
    client.post(reverse("mailbox_new"), typed(post))
    answer = client.post(reverse("mailbox_new"), typed(post))
    assert answer.status_code == 422
    assert b"are read already" in answer.content
    assert client.post(reverse("mailbox_new"), typed(post, folder="Junk")).status_code == 302


def test_the_stored_password_goes_to_no_other_server(workspace, post):
    mailbox = a_mailbox(workspace, port=post.imap_port)
    form = MailboxForm(typed(post, host="evil.example", password=""), mailbox=mailbox)
    assert "Type it again" in str(form.errors["password"])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"port": 9}, "refused the connection"),
        ({"host": "169.254.169.254"}, "cloud metadata"),
        ({"folder": "Nowhere"}, "does not exist"),
        ({"security": "tls"}, "TLS with 127.0.0.1"),
        ({"user": "no.such.host", "host": "no-such-host.invalid"}, "is not known"),
    ],
)
def test_a_test_says_why_it_cannot_be_read(workspace, post, fields, words):
    given = {"port": post.imap_port} | fields
    assert words in mailboxes.test(a_mailbox(workspace, **given))


@contextlib.contextmanager
def a_server_that_says(first: bytes, then: bytes, *, pause: float = 0.0):
    """The same again and again, however long it is listened to."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk():
        with contextlib.suppress(OSError):
            conversation, _ = listener.accept()
            conversation.sendall(first)
            while True:
                conversation.sendall(then)
                time.sleep(pause)

    threading.Thread(target=talk, daemon=True).start()
    with contextlib.closing(listener):
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("protocol", "first", "then"),
    [
        ("imap", b"* OK here\r\n", b"* OK and again\r\n" * 1_000),
        ("imap", b"* OK here\r\n", b"* 1 FETCH (BODY[] {99999999999}\r\n"),
        ("imap", b"", b"a" * 100_000),
        ("pop3", b"+OK here\r\n+OK\r\n+OK\r\n+OK\r\n", b"1 a\r\n" * 1_000),
    ],
)
def test_a_server_that_never_ends_is_left(workspace, post, monkeypatch, protocol, first, then):
    monkeypatch.setattr(protocols, "MOST_ANSWER", 1_000_000)
    monkeypatch.setattr(protocols._Timed, "left", 1_000_000)
    monkeypatch.setattr(imaplib, "_MAXLINE", 1_000_000)
    with a_server_that_says(first, then) as port:
        said = mailboxes.test(a_mailbox(workspace, protocol=protocol, host="127.0.0.1", port=port))
    assert "no end" in said or "more than" in said


@pytest.mark.parametrize(("protocol", "first"), [("imap", b"* OK"), ("pop3", b"+OK")])
def test_a_server_that_talks_a_letter_at_a_time_is_hung_up_on(workspace, monkeypatch, protocol, first):
    monkeypatch.setattr(protocols, "SESSION_SECONDS", 0.5)
    began = time.monotonic()
    with a_server_that_says(first, b"a", pause=0.05) as port:
        assert mailboxes.test(a_mailbox(workspace, protocol=protocol, host="127.0.0.1", port=port))
    assert time.monotonic() - began < 10


# --- Microsoft 365 ------------------------------------------------------------------------------------------

APPLICATION = {"tenant": "acme.onmicrosoft.example", "client_id": "11-22"}


@pytest.fixture
def sign_in_server(monkeypatch, post):
    """Microsoft's, whose token the mailbox's server takes."""
    server = SignIn().start()
    post.token = server.token
    monkeypatch.setattr(microsoft, "SIGN_IN", server.url)
    yield server
    server.close()


def test_a_mailbox_of_microsoft_365_is_read_as_an_application(spring, workspace, post, sign_in_server):
    mailbox = a_mailbox(workspace, port=post.imap_port, password="app-secret", **APPLICATION)
    post.put(a_bounce(bounces_of(spring)))
    found = turn(mailbox)
    assert (found.trouble, found.bounce_count) == ("", 1)
    assert sign_in_server.asked == [
        {
            "path": "/acme.onmicrosoft.example/oauth2/v2.0/token",
            "grant_type": "client_credentials",
            "client_id": "11-22",
            "client_secret": "app-secret",
            "scope": "https://outlook.office365.com/.default",
        }
    ]
    assert not any("app-secret" in command for command in post.commands), "the server sees the token alone"


@pytest.mark.parametrize(
    ("password", "answers", "token", "words"),
    [
        ("old-secret", None, "a-token", "AADSTS7000215: Invalid client secret provided."),
        ("app-secret", (503, b"<p>Busy</p>"), "a-token", "could not be asked"),
        ("app-secret", (200, b"[]"), "a-token", "200, and no reason"),
        ("app-secret", (302, b"{}"), "a-token", "302, and no reason"),
        ("app-secret", None, "another", "may it read this mailbox?"),
    ],
)
def test_why_microsoft_lets_nobody_in_is_said(
    workspace, post, sign_in_server, password, answers, token, words
):
    sign_in_server.answers, post.token = answers, token
    mailbox = a_mailbox(workspace, port=post.imap_port, password=password, **APPLICATION)
    said = mailboxes.test(mailbox)
    assert words in said
    assert "Trace ID" not in said


def test_a_mailbox_of_before_says_what_microsoft_wants_now(mailbox, post, monkeypatch):
    post.password = "no longer taken"
    assert "takes no passwords" not in mailboxes.test(mailbox)
    monkeypatch.setattr(microsoft, "HOSTS", ("127.0.0.1",))
    assert "Microsoft takes no passwords any more" in mailboxes.test(mailbox)


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"host": "outlook.office365.com"}, "tenant", "takes no passwords any more"),
        ({"tenant": "acme.example"}, "client_id", "Fill in both"),
        ({**APPLICATION, "protocol": "pop3"}, "protocol", "by IMAP alone"),
        ({**APPLICATION, "security": "none"}, "security", "without TLS"),
        ({**APPLICATION, "tenant": "evil.example/x?"}, "tenant", "Letters, digits"),
    ],
)
def test_the_form_says_what_microsoft_365_needs(post, fields, field, words):
    form = MailboxForm(typed(post, security="tls") | fields)
    assert words in str(form.errors[field])


def test_the_stored_secret_goes_to_no_other_directory(workspace, post):
    stored = {**APPLICATION, "security": "tls", "port": post.imap_port, "user": "bounces"}
    mailbox = a_mailbox(workspace, password="app-secret", **stored)
    same = typed(post, security="tls", password="", **APPLICATION)
    assert MailboxForm(same, mailbox=mailbox).is_valid()
    for other in ({"tenant": "evil.example"}, {"tenant": "", "client_id": ""}):
        form = MailboxForm(same | other, mailbox=mailbox)
        assert "Type it again" in str(form.errors["password"])


# --- The stream ---------------------------------------------------------------------------------------------


def test_messages_of_our_own_server_are_read_from_the_stream(spring):
    now = timezone.now()
    entries = [
        packed(Came(a_bounce("x@y.example"), None, now, (bounces_of(spring),))),
        packed(Came(a_note("x@y.example"), None, now, (leaves_of(spring, "p2@example.com"),))),
        packed(Came(a_bounce("x@y.example"), None, now, ("b+0@y.example",))),  # nobody's: nobody's workspace
    ]
    stream.put(take.STREAM, *entries, entries[0])
    drain.drain(take.STREAM)
    assert [event.kind for event in Event.objects.filter(kind="bounced")] == ["bounced"]
    assert Subscription.objects.get(contact__email="p2@example.com").status == "unsubscribed"
    assert not Stray.objects.exists()


# --- The server for return paths ----------------------------------------------------------------------------


@pytest.fixture
def returns(transactional_db):
    """The port of the server that takes bounces."""
    port = a_free_port()
    with served(endpoint.serve, port):
        yield port


def handed(port, to, source) -> int:
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
        try:
            client.sendmail("", [to], source.replace(b"\n", b"\r\n"))
        except smtplib.SMTPRecipientsRefused as error:
            return error.recipients[to][0]
        except smtplib.SMTPDataError as error:
            return error.smtp_code
    return 250


def test_our_own_server_takes_what_names_a_recipient_and_nothing_else(returns, spring):
    assert handed(returns, bounces_of(spring), a_bounce("x@y.example")) == 250
    assert handed(returns, "anybody@acme.example", a_bounce("x@y.example")) == 550
    assert handed(returns, f"b+{'0' * 44}@{DOMAIN}", a_bounce("x@y.example")) == 550
    drain.drain(take.STREAM)
    assert Event.objects.get().kind == "bounced"


def test_it_speaks_lmtp_too_and_answers_for_each_recipient(returns, spring):
    """As a mail server of the same machine hands mail to a mailbox."""
    first, second = bounces_of(spring), bounces_of(spring, "p2@example.com")
    with smtplib.LMTP("127.0.0.1", returns, timeout=60) as client:
        refused = client.sendmail("", [first, "anybody@acme.example", second], a_bounce("x@y.example"))
        assert {to: code for to, (code, _) in refused.items()} == {"anybody@acme.example": 550, second: 452}
        assert client.sendmail("", [second], a_bounce("z@y.example")) == {}
    drain.drain(take.STREAM)
    assert set(Event.objects.values_list("number", flat=True)) == {1, 2}


def test_the_envelope_says_that_a_bounce_is_one(returns, spring):
    """From nobody in particular, in words alone: a person would have a return path."""
    words = b"From: robot@example.com\nSubject: Sorry\n\nCould not be delivered: 550 user unknown\n\n<p1@example.com>\n"
    assert handed(returns, bounces_of(spring), words) == 250
    drain.drain(take.STREAM)
    assert Event.objects.get().kind == "bounced"


def test_a_huge_bounce_is_taken_and_its_beginning_read(returns, spring):
    source = a_bounce(bounces_of(spring)) + b"x" * 5_000 + b"\n" + b"0123456789\n" * 500_000
    assert handed(returns, bounces_of(spring), source) == 250
    assert stream.waiting(take.STREAM) == 1
    drain.drain(take.STREAM)
    assert Event.objects.get().kind == "bounced"


def test_what_cannot_be_stored_is_asked_for_again(returns, spring, monkeypatch):
    def refuse(*_):
        raise OperationalError("away")

    monkeypatch.setattr(stream, "put", refuse)
    assert handed(returns, bounces_of(spring), a_bounce("x@y.example")) == 451


# --- A test bounce ------------------------------------------------------------------------------------------


def test_a_test_bounce_shows_that_the_way_back_works(ada, sign_in, account, server, post, mailbox):
    account.settings["return_path"] = DOMAIN
    account.save(update_fields=["settings"])
    client = sign_in(ada)
    assert b"No bounce yet" in client.get(reverse("sending")).content
    client.post(reverse("sending_test_bounce", args=[account.pk]))
    to, source = server.messages[0]
    assert to.endswith(f"@{DOMAIN}")
    post.put(source)
    assert turn(mailbox).bounce_count == 1
    assert post.messages == {}
    account.refresh_from_db()
    assert account.bounce_at is not None
    assert Stray.objects.get().said == "The test bounce arrived."
    assert b"Last bounce" in client.get(reverse("sending")).content


def test_a_test_bounce_that_is_refused_says_why(ada, sign_in, account, server):
    account.settings["return_path"] = DOMAIN
    account.save(update_fields=["settings"])
    server.answers["RCPT"] = lambda _: "550 5.7.1 Relaying denied"
    answer = sign_in(ada).post(reverse("sending_test_bounce", args=[account.pk]), follow=True)
    assert b"Relaying denied" in answer.content
