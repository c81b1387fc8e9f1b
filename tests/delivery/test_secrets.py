"""Secrets are unreadable at rest, survive a new SECRET_KEY, and say so when they cannot be read."""

import pytest

from delivery.secrets import SecretsLost, seal, unseal


def test_what_was_sealed_comes_back_and_is_not_readable_at_rest():
    sealed = seal({"password": "pass wörd"})
    assert b"pass" not in sealed
    assert unseal(memoryview(sealed)) == {"password": "pass wörd"}


def test_nothing_is_sealed_as_nothing():
    assert seal({}) == b""
    assert unseal(b"") == {}


def test_a_rotated_key_still_opens_what_the_old_one_sealed(settings):
    sealed = seal({"api_key": "k"})
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new one", [settings.SECRET_KEY]
    assert unseal(sealed) == {"api_key": "k"}


def test_without_the_old_key_the_refusal_names_the_remedy(settings):
    sealed = seal({"api_key": "k"})
    settings.SECRET_KEY = "a new one"
    with pytest.raises(SecretsLost, match="SECRET_KEY_FALLBACKS"):
        unseal(sealed)
