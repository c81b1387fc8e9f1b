"""The local inbox takes real SMTP, shows every message safely, and is not there where it is off."""

import os
import re
import signal
import smtplib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from pathlib import Path

import pytest
from django.urls import reverse

from delivery import inbox, letter
from delivery.models import InboxMessage
from delivery.transports import connect
from delivery.transports.base import Fate, Message
from tests.at_once import until
from tests.builders import an_account
from tests.delivery.servers import a_free_port, served


@pytest.fixture
def port(transactional_db, settings):
    settings.INBOX_PORT = a_free_port()
    with served(inbox.serve, settings.INBOX_PORT):
        yield settings.INBOX_PORT


def a_mail(
    subject="Hello",
    to="eve@example.com",
    html="<p>Hi <a href='https://acme.example/'>there</a></p>",
    **headers,
):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Acme <news@acme.example>", to, subject
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content("Hi, plainly")
    if html:
        mail.add_alternative(html, subtype="html")
    return mail


def a_stored(source: bytes | EmailMessage, *, to="eve@example.com", subject="Hello"):
    octets = source if isinstance(source, bytes) else source.as_bytes()
    return InboxMessage.objects.create(
        envelope_from="news@acme.example", envelope_to=to, subject=subject, source=octets
    )


def test_what_arrives_by_smtp_is_stored_before_it_is_acknowledged(port):
    with smtplib.SMTP("127.0.0.1", port) as session:
        session.ehlo()
        assert {"8bitmime", "smtputf8", "size", "pipelining"} <= set(session.esmtp_features)
        session.send_message(a_mail("Grüße"), to_addrs=["eve@example.com", "adam@example.com"])
        assert list(InboxMessage.objects.order_by("pk").values_list("envelope_to", "subject")) == [
            ("eve@example.com", "Grüße"),
            ("adam@example.com", "Grüße"),
        ]


def test_the_list_shows_from_whom_a_message_is_and_the_message_where_its_bounces_go(port, client):
    with smtplib.SMTP("127.0.0.1", port) as session:
        session.send_message(a_mail(), from_addr="b+17@bounces.example", to_addrs=["eve@example.com"])
    listed = client.get(reverse("inbox")).content.decode()
    assert "Acme &lt;news@acme.example&gt;" in listed
    assert "bounces.example" not in listed
    page = client.get(reverse("inbox_message", args=[InboxMessage.objects.get().pk])).content.decode()
    assert "Acme &lt;news@acme.example&gt;" in page
    assert "bounces go to b+17@bounces.example" in page


def test_many_connections_at_once_lose_nothing(port):
    def send(number: int) -> None:
        with smtplib.SMTP("127.0.0.1", port) as session:
            for each in range(5):
                session.send_message(a_mail(f"{number}-{each}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(8)))
    assert InboxMessage.objects.values("subject").distinct().count() == 40


def test_the_inbox_account_sends_through_volleys_own_transport(port, workspace):
    connection = connect(an_account(workspace, provider="inbox"))
    for number in range(3):
        data = a_mail(f"Number {number}").as_bytes().replace(b"\n", b"\r\n")
        assert (
            connection.send(Message("news@acme.example", "jürgen@example.com", [data])).fate is Fate.ACCEPTED
        )
    connection.close()
    assert set(InboxMessage.objects.values_list("envelope_to", flat=True)) == {"jürgen@example.com"}


def test_what_postgres_cannot_hold_is_stored_all_the_same(port):
    with smtplib.SMTP("127.0.0.1", port) as session:
        source = b"Subject: nul \0 and \xff\r\n\r\nbody \0 \xff\r\n"
        session.sendmail("news@acme.example", ["eve@example.com"], source)
    assert bytes(InboxMessage.objects.get().source).startswith(b"Subject: nul")


def test_only_the_newest_are_kept(port, monkeypatch):
    monkeypatch.setattr(inbox, "KEPT", 3)
    monkeypatch.setattr(inbox, "PRUNE_EVERY", 1)
    with smtplib.SMTP("127.0.0.1", port) as session:
        for number in range(5):
            session.send_message(a_mail(str(number)))
    assert list(InboxMessage.objects.order_by("pk").values_list("subject", flat=True)) == ["2", "3", "4"]


@pytest.mark.parametrize("serves", ["INBOX_PORT", "BOUNCE_PORT", ""])
def test_the_command_runs_until_it_is_told_to_stop(serves):
    port = a_free_port()
    environment = {**os.environ, "VOLLEY_INBOX": "on" if serves == "INBOX_PORT" else "off"}
    if serves:
        environment[serves] = str(port)
    command = [sys.executable, "manage.py", "inbox"]
    process = subprocess.Popen(
        command, cwd=Path(inbox.__file__).parent.parent, env=environment, stderr=subprocess.PIPE
    )
    try:
        if serves:
            until(lambda: _answers(port, process))
        else:
            until(lambda: _catches(process, signal.SIGTERM))
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def _answers(port: int, process) -> bool:
    assert process.poll() is None, process.stderr.read()
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=5) as session:
            return session.noop()[0] == 250
    except OSError:
        return False


def _catches(process, number: signal.Signals) -> bool:
    """Whether it does something of its own when it gets the signal."""
    assert process.poll() is None, process.stderr.read()
    (caught,) = re.findall(
        r"^SigCgt:\s+(\w+)$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE
    )
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_the_list_shows_the_newest_first_and_finds_by_recipient_and_subject(client, db):
    a_stored(a_mail(), subject="First", to="eve@example.com")
    a_stored(a_mail(), subject="Second", to="adam@example.com")
    page = client.get(reverse("inbox")).content.decode()
    assert page.index("Second") < page.index("First")
    assert 'hx-trigger="every 4s"' in page
    found = client.get(reverse("inbox"), {"search": "ADAM"}).content.decode()
    assert "Second" in found
    assert "First" not in found
    assert "hx-trigger" not in found
    assert "First" in client.get(reverse("inbox"), {"search": "firs"}).content.decode()
    assert "Nothing found" in client.get(reverse("inbox"), {"search": "nobody\0"}).content.decode()
    part = client.get(
        reverse("inbox"), headers={"HX-Request": "true", "HX-Target": "div#messages"}
    ).content.decode()
    assert part.lstrip().startswith('<div id="messages"')


def test_the_list_goes_on_page_by_page(client, db, django_assert_max_num_queries):
    for number in range(60):
        a_stored(b"", subject=f"Subject-{number:02}")
    with django_assert_max_num_queries(2):
        first = client.get(reverse("inbox"))
    assert "Subject-59" in first.content.decode()
    assert "Subject-09" not in first.content.decode()
    second = client.get(reverse("inbox"), {"cursor": first.context["page"].next}).content.decode()
    assert "Subject-09" in second
    assert client.get(reverse("inbox"), {"cursor": "nonsense"}).status_code == 200


def test_a_message_shows_its_html_in_a_frame_of_its_own(client, db):
    mail = a_mail(List_Unsubscribe="<mailto:x@acme.example>, <https://acme.example/u/t/>")
    message = a_stored(mail)
    page = client.get(reverse("inbox_message", args=[message.pk])).content.decode()
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    assert 'href="https://acme.example/u/t/"' in page
    frame = client.get(reverse("inbox_part", args=[message.pk, "html"]))
    policy = frame.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-popups" in policy
    assert "allow-scripts" not in policy
    assert '<base target="_blank">' in frame.content.decode()


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (
            "<!DOCTYPE html><html><head lang=x><p>",
            '<!DOCTYPE html><html><head lang=x><base target="_blank"><p>',
        ),
        ("<!doctype html><p>", '<!doctype html><base target="_blank"><p>'),
        ("<p>", '<base target="_blank"><p>'),
    ],
)
def test_links_in_the_frame_open_outside_of_it(client, db, html, expected):
    message = a_stored(b"Content-Type: text/html\r\n\r\n" + html.encode())
    assert client.get(reverse("inbox_part", args=[message.pk, "html"])).content.decode() == expected


def test_text_headers_and_source_are_shown_escaped(client, db):
    message = a_stored(a_mail("<script>", X_Note="<b>bold</b>"))
    url = reverse("inbox_message", args=[message.pk])
    assert "Hi, plainly" in client.get(url, {"tab": "text"}).content.decode()
    assert "&lt;b&gt;bold&lt;/b&gt;" in client.get(url, {"tab": "headers"}).content.decode()
    source = client.get(url, {"tab": "source"}).content.decode()
    assert "Subject: &lt;script&gt;" in source
    raw = client.get(reverse("inbox_part", args=[message.pk, "source"]))
    assert raw.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert raw.headers["X-Content-Type-Options"] == "nosniff"
    assert (
        client.get(reverse("inbox_part", args=[message.pk, "text"])).content.decode().strip() == "Hi, plainly"
    )
    assert client.get(reverse("inbox_part", args=[message.pk, "nonsense"])).status_code == 404


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"\0\xff\xfe",
        b"Subject: =?nonsense?q?x?=\r\nFrom: =?utf-8?b?!!!?=\r\n\r\n",
        b"Content-Type: text/html; charset=nonsense\r\n\r\n\xff",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
        b"To: " + b"(" * 5000,
    ],
)
def test_nothing_that_arrives_breaks_its_page(client, db, source):
    message = a_stored(source, subject=letter.header(source, "Subject").replace("\0", ""))
    for tab in ("", "html", "text", "headers", "source", "nonsense"):
        assert client.get(reverse("inbox_message", args=[message.pk]), {"tab": tab}).status_code == 200
    for part in ("html", "text", "source"):
        assert client.get(reverse("inbox_part", args=[message.pk, part])).status_code == 200


def test_clearing_is_a_post(client, db):
    a_stored(a_mail())
    assert client.get(reverse("inbox_clear")).status_code == 405
    assert InboxMessage.objects.exists()
    client.post(reverse("inbox_clear"))
    assert "No mail yet" in client.get(reverse("inbox")).content.decode()


def test_where_the_inbox_is_off_there_is_nothing(client, db, settings):
    message = a_stored(a_mail())
    settings.INBOX = False
    for url in (
        reverse("inbox"),
        reverse("inbox_message", args=[message.pk]),
        reverse("inbox_part", args=[message.pk, "html"]),
    ):
        assert client.get(url).status_code == 404
    assert client.post(reverse("inbox_clear")).status_code == 404
    assert InboxMessage.objects.exists()
