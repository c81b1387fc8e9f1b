"""Signed links name one recipient of one mailing, cannot be forged, and outlive a change of the key."""

import pytest

from delivery.links import (
    confirm_url,
    one_click_url,
    preferences_url,
    read_token,
    unsubscribe_token,
    unsubscribe_url,
)


@pytest.mark.parametrize("named", [(1, 1), (7, 123_456), (2**47, 2**32 - 1)])
def test_a_token_names_its_recipient(named):
    token = unsubscribe_token(*named)
    assert read_token(token) == named
    assert len(token) < 40
    assert token.replace("-", "").replace("_", "").isalnum()


def test_links_in_mail_that_left_long_ago_still_lead_where_they_did(settings):
    settings.SECRET_KEY = "the same for years"
    assert unsubscribe_token(7, 3) == "AAAAAAAHAAAAA5OylJ0MzB4Sxbo9nxECiaE"
    assert read_token("AAAAAAAHAAAAA5OylJ0MzB4Sxbo9nxECiaE") == (7, 3)


def test_no_changed_token_is_taken():
    token = unsubscribe_token(7, 3)
    for at in range(len(token) - 1):  # the last letter holds unused bits
        other = "A" if token[at] != "A" else "B"
        assert read_token(token[:at] + other + token[at + 1 :]) is None


@pytest.mark.parametrize("token", ["", "x", "ü" * 35, "A" * 35, "A" * 5000, "\0", "../..", "====", "a b"])
def test_nonsense_is_no_token(token):
    assert read_token(token) is None


def test_an_older_key_still_verifies_and_an_unknown_one_does_not(settings):
    token, old = unsubscribe_token(7, 3), settings.SECRET_KEY
    settings.SECRET_KEY = "a new one"
    assert read_token(token) is None
    settings.SECRET_KEY_FALLBACKS = [old]
    assert read_token(token) == (7, 3)


def test_links_begin_with_the_public_address(settings):
    settings.PUBLIC_URL = "https://mail.acme.example"
    assert unsubscribe_url("t") == "https://mail.acme.example/u/t/"
    assert one_click_url(unsubscribe_url("t")) == "https://mail.acme.example/u/t/one-click/"


def test_links_begin_with_the_workspaces_domain_where_it_has_one():
    url = unsubscribe_url("t", "https://t.acme.example")
    assert url == "https://t.acme.example/u/t/"
    assert preferences_url(url) == "https://t.acme.example/p/t/"
    assert confirm_url("t", "https://t.acme.example") == "https://t.acme.example/confirm/t/"
