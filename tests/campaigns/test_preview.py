"""The preview as any contact, and the test send."""

import pytest

from tests.builders import a_campaign, a_contact, an_account

HELLO = "<p>Hi {{ contact.first_name }}</p>"


@pytest.fixture
def campaign(workspace):
    return a_campaign(workspace, content=HELLO, content_kind="html", account=an_account(workspace))


def test_it_reads_as_the_contact_would_see_it(workspace, campaign, carol, sign_in):
    anna = a_contact(workspace, first_name="Anna <b>")
    client, address = sign_in(carol), f"/campaigns/{campaign.pk}/preview/"
    page = client.get(f"{address}?part=html&contact={anna.pk}")
    assert "Hi Anna &lt;b&gt;" in page.text
    assert "sandbox" in page["Content-Security-Policy"]
    assert "script" not in page["Content-Security-Policy"]
    assert page["X-Frame-Options"] == "SAMEORIGIN"
    assert "Hi Sam" in client.get(f"{address}?part=html").text
    assert client.get(f"{address}?part=text&contact=x")["Content-Type"].startswith("text/plain")
    assert "as anna@example.com" in client.get(f"{address}?contact={anna.pk}").text


def test_another_workspaces_contact_is_nobody(workspace, campaign, mallory, carol, sign_in):
    theirs = a_contact(mallory.workspaces.get(), first_name="Secret")
    assert (
        "Secret"
        not in sign_in(carol).get(f"/campaigns/{campaign.pk}/preview/?part=html&contact={theirs.pk}").text
    )


def test_a_template_error_is_said_in_words(campaign, carol, sign_in):
    campaign.content = "{% if %}"
    campaign.save()
    answer = sign_in(carol).get(f"/campaigns/{campaign.pk}/preview/?part=html")
    assert answer.status_code == 422
    assert "Line 1" in answer.text


def test_contacts_are_found_by_their_address(workspace, campaign, carol, sign_in):
    for number in range(10):
        a_contact(workspace, f"anna{number}@example.com")
    found = sign_in(carol).get(f"/campaigns/{campaign.pk}/preview/contacts/?q=anna").text
    assert found.count("list-group-item-action") == 8
    assert "Nobody" in sign_in(carol).get(f"/campaigns/{campaign.pk}/preview/contacts/?q=zoe%00").text


def test_a_preview_is_not_there_for_strangers(campaign, mallory, sign_in):
    for part in ("preview/", "preview/contacts/", "preview/?part=html"):
        assert sign_in(mallory).get(f"/campaigns/{campaign.pk}/{part}").status_code == 404
