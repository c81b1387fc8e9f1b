"""Texts that servers really answer, and what they mean for the person: one table for every way they come by."""

from pathlib import Path

import pytest

from delivery.feedback.classes import class_of, reply_of, status_of
from delivery.feedback.facts import Kind

KINDS = {"hard": Kind.BOUNCED, "soft": Kind.SOFT_BOUNCED, "blocked": Kind.BLOCKED}
ANSWERS = Path(__file__).with_name("samples") / "server_answers.txt"
TEXTS = [[part.strip() for part in line.split("|", 2)] for line in ANSWERS.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(("kind", "status", "words"), TEXTS)
def test_the_class_of_what_servers_say(kind, status, words):
    assert class_of(status, words) is KINDS[kind]


@pytest.mark.parametrize(
    ("words", "status", "reply"),
    [
        ("smtp; 550 5.1.1 <a@b.example>... User unknown", "5.1.1", "550"),
        ("5.1.0 - Unknown address error 550-'5.2.2 <a@b.example>... Mailbox Full'", "5.2.2", "550"),
        ("550 #5.1.0 Address rejected.", "5.1.0", "550"),
        ("Sorry, no mailbox here by that name. (#5.1.1)", "5.1.1", ""),
        ("5.0.0 (undefined status)", "", ""),
        ("host mx.example [192.0.2.250] said: 552-5.2.2 full", "5.2.2", "552"),
        ("Could not deliver for the last 500 seconds", "", ""),
        ("", "", ""),
    ],
)
def test_codes_are_found_where_they_stand(words, status, reply):
    assert (status_of(words), reply_of(words)) == (status, reply)


def test_endless_words_take_no_time():
    for words in ("user " * 200_000, "5." * 500_000, "a@" * 500_000, "sender from " * 100_000):
        assert class_of("", words) in KINDS.values()
