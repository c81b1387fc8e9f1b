"""What a message that came back is taken for: samples of our own, some hundred real ones, and hostile ones."""

import time
from pathlib import Path

import pytest

from delivery.bounces.letter import What
from delivery.bounces.read import read
from delivery.feedback.facts import Kind
from tests.volley import ROOT

SAMPLES = Path(__file__).with_name("samples")
CORPUS = ROOT.parent / "shared" / "data"
KINDS = {Kind.BOUNCED: "hard", Kind.SOFT_BOUNCED: "soft", Kind.BLOCKED: "blocked"}
EXPECTED = {
    name: (what, rows)
    for name, what, *rows in (
        line.split(" | ") for line in (SAMPLES / "bounces_expected.txt").read_text("utf-8").splitlines()
    )
}


def rows_of(reading) -> list[str]:
    return [
        f"{each.email} {KINDS[each.kind]} {each.status or '-'}" for each in reading.failures
    ] or reading.emails


@pytest.mark.parametrize(
    ("name", "what", "rows"),
    [
        ("dsn", What.BOUNCE, ["anna@example.com hard 5.1.1", "bert@example.com soft 5.2.2"]),
        ("plain", What.BOUNCE, ["anna@example.com hard -"]),
        ("html_alone", What.BOUNCE, ["anna@example.com hard -"]),
        ("complaint", What.COMPLAINT, ["anna@example.com"]),
        ("delayed", What.DELAY, ["anna@example.com soft 4.4.1"]),
        ("delivered", What.RECEIPT, []),
        ("read_receipt", What.RECEIPT, []),
        ("success_in_words", What.RECEIPT, []),
        ("relayed", What.RECEIPT, []),
        ("quarantine", What.RECEIPT, []),
        ("full_mailbox_of_ours", What.RECEIPT, []),
        ("departed", What.OTHER, []),
        ("retried", What.DELAY, ["anna@example.com soft -"]),
        ("out_of_office", What.AUTO_REPLY, []),
        ("no_longer_here", What.AUTO_REPLY, []),
        ("vacation_in_german", What.AUTO_REPLY, []),
        ("challenge", What.AUTO_REPLY, []),
        ("dmarc_report", What.OTHER, []),
        ("newsletter", What.OTHER, []),
        ("forwarded", What.OTHER, []),
        ("question", What.OTHER, []),
        ("parcel", What.OTHER, []),
    ],
)
def test_what_a_message_is(name, what, rows):
    reading = read((SAMPLES / "mail" / f"{name}.eml").read_bytes())
    assert (reading.what, rows_of(reading)) == (what, rows)


def test_the_returned_messages_id_is_found():
    for name in ("dsn", "plain", "complaint", "out_of_office"):
        assert "0000@acme.example" in read((SAMPLES / "mail" / f"{name}.eml").read_bytes()).message_ids


def test_the_servers_words_are_kept():
    first, second = read((SAMPLES / "mail" / "dsn.eml").read_bytes()).failures
    assert first.said == "550 5.1.1 <anna@example.com>: Recipient address rejected: User unknown"
    assert second.said == "552 5.2.2 Mailbox full"


# --- Real ones ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus():
    if not (CORPUS / "bounces").is_dir():
        pytest.skip(f"The real messages are not here: {CORPUS / 'bounces'}")
    return {path.stem: read(path.read_bytes()) for path in sorted((CORPUS / "bounces").glob("*.eml"))}


def share(corpus, fits) -> float:
    known = [name for name in corpus if name in EXPECTED]
    wrong = [name for name in known if not fits(corpus[name], *EXPECTED[name])]
    print(f"{1 - len(wrong) / len(known):.1%} of {len(known)}; not: {', '.join(wrong) or 'none'}")
    return 1 - len(wrong) / len(known)


def part(rows, place) -> list[str]:
    return [row.split(" ")[place] if row.count(" ") >= place else "" for row in rows]


def test_nearly_all_real_bounces_get_the_right_class(corpus):
    assert (
        share(corpus, lambda got, what, rows: got.what == what and part(rows_of(got), 1) == part(rows, 1))
        >= 0.97
    )


def test_nearly_all_real_bounces_name_who_was_not_reached(corpus):
    assert share(corpus, lambda got, what, rows: part(rows_of(got), 0) == part(rows, 0)) >= 0.98


def test_nearly_all_real_bounces_give_their_status(corpus):
    assert share(corpus, lambda got, what, rows: part(rows_of(got), 2) == part(rows, 2)) >= 0.98


def test_no_look_alike_is_taken_for_a_bounce():
    paths = sorted((CORPUS / "not-bounces").glob("*.eml"))
    if not paths:
        pytest.skip(f"The look-alikes are not here: {CORPUS / 'not-bounces'}")
    for path in paths:
        reading = read(path.read_bytes())
        assert (reading.what in (What.OTHER, What.AUTO_REPLY), reading.failures) == (True, []), path.name


# --- Hostile ones -------------------------------------------------------------------------------------------

DAEMON = b"From: MAILER-DAEMON@mx.example\r\nSubject: Undelivered\r\n"
REPORT = (
    DAEMON
    + b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
)
NESTED = b"".join(
    b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3_000)
)


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"\0" * 1_000_000,
        b"X: y\r\n" * 100_000,
        DAEMON + b"\r\n" + b"could not be delivered to anna@example.com\r\n" * 1_000_000,
        DAEMON + b"\r\nuser unknown " + b"a@" * 2_000_000,
        DAEMON + b"\r\n" + b"deliver" * 500_000,
        DAEMON + b"Content-Type: text/html\r\n\r\nuser unknown " + b"<style>" * 500_000,
        DAEMON + b"Content-Type: text/html\r\n\r\nuser unknown " + b"<" * 3_000_000,
        DAEMON + NESTED,
        DAEMON + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 500_000,
        DAEMON
        + b"Content-Type: text/plain; charset=unicode_escape\r\n\r\nuser unknown \xff\xfe<anna@example.com>",
        DAEMON + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"A" * 3_999_999,
        b"Subject: =?utf-8?b?"
        + b"A" * 100_000
        + b"?= =?x?q?\xff?=\r\nFrom: =?punycode?q?"
        + b"a" * 5_000
        + b"?=\r\n\r\n\xff",
        REPORT + b"Final-Recipient: rfc822; " + b"a" * 3_000_000,
        REPORT + b"Final-Recipient: rfc822;" + b"\n a" * 1_000_000,
        DAEMON + b'\r\nnotificationType {"a":' * 100_000,
    ],
    ids=range(16),
)
def test_no_message_takes_long_or_breaks_it(source):
    began = time.process_time()
    read(source)
    assert time.process_time() - began < 5


def test_a_report_on_ten_thousand_people_is_read():
    row = b"Final-Recipient: rfc822; p%d@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
    reading = read(REPORT + b"".join(row % n for n in range(10_000)))
    assert len(reading.failures) == 10_000
    assert {each.kind for each in reading.failures} == {Kind.BOUNCED}
