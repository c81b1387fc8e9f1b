"""A test send: to a few addresses, filled in as a contact, marked as a test."""

import pytest

from delivery.models import Delivery, Mailing
from tests.builders import a_campaign, a_contact, an_account

SAVED = {"HX-Request": "true", "HX-Target": "form#test-send"}


@pytest.fixture
def campaign(workspace):
    return a_campaign(workspace, account=an_account(workspace))


def test_it_leaves_for_the_addresses_as_a_test(workspace, campaign, bob, sign_in):
    anna = a_contact(workspace)
    typed = {"to": "x@example.com, y@example.com x@example.com", "sample_email": "ANNA@example.com"}
    answer = sign_in(bob).post(f"/campaigns/{campaign.pk}/test/", typed, headers=SAVED)
    assert answer.status_code == 200
    assert "On its way to x@example.com, y@example.com." in answer.text
    mailing = Mailing.objects.get()
    assert (mailing.is_test, mailing.sample_contact) == (True, anna)
    assert mailing.content["subject"] == "[Test] The spring roast is here"
    assert Delivery.objects.count() == 2


def test_without_scripts_it_goes_back_to_the_review(campaign, bob, sign_in):
    answer = sign_in(bob).post(f"/campaigns/{campaign.pk}/test/", {"to": "x@example.com"})
    assert answer.url == f"/campaigns/{campaign.pk}/review/"


@pytest.mark.parametrize("headers", [SAVED, {}])
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"to": ""}, "required"),
        ({"to": "nobody"}, "“nobody” is no e-mail address."),
        ({"to": " ".join(f"a{n}@example.com" for n in range(6))}, "at most 5"),
        ({"to": "a@example.com", "sample_email": "zoe@example.com"}, "There is no contact"),
        ({"to": "a@example.com\0"}, "Null"),
    ],
)
def test_bad_input_is_said_beside_it(campaign, bob, sign_in, typed, said, headers):
    answer = sign_in(bob).post(f"/campaigns/{campaign.pk}/test/", typed, headers=headers)
    assert answer.status_code == 422
    assert said in answer.text
    assert not Mailing.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"), [("account", None), ("from_email", ""), ("content", ""), ("content", "{% if %}")]
)
def test_what_is_missing_is_said(campaign, bob, sign_in, field, value):
    setattr(campaign, field, value)
    campaign.save()
    answer = sign_in(bob).post(f"/campaigns/{campaign.pk}/test/", {"to": "a@example.com"}, headers=SAVED)
    assert answer.status_code == 422
    assert not Mailing.objects.exists()


def test_it_is_not_for_viewers_nor_strangers_nor_a_get(campaign, bob, carol, mallory, sign_in):
    address = f"/campaigns/{campaign.pk}/test/"
    assert sign_in(carol).post(address, {"to": "a@example.com"}).status_code == 403
    assert sign_in(mallory).post(address, {"to": "a@example.com"}).status_code == 404
    assert sign_in(bob).get(address).status_code == 405
