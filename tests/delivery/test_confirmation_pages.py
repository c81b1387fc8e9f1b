"""How a list asks to confirm: written by a marketer, looked at before it leaves, and checked as it is saved."""

import pytest
from django.urls import reverse

from contacts.actions import confirmations
from delivery.confirming import asking
from delivery.confirming.wording import page_of
from delivery.models import Confirmation, Mailing
from tests.builders import a_contact, a_list
from tests.delivery.test_confirming import letters
from tests.delivery.test_pipeline import work_all

pytestmark = pytest.mark.django_db
GOOD = {"subject": "Is it you?", "body": "Hi\n\n{{ confirm_url }}\n", "from_email": "hello@acme.example"}


@pytest.fixture
def news(workspace, account):
    account.is_default = True
    account.save()
    return a_list(workspace, "Garden news", opt_in="double")


@pytest.fixture
def page(news):
    return reverse("list_confirmation", args=[news.pk])


def test_a_list_asks_in_volleys_words_until_somebody_writes_others(
    sign_in, bob, workspace, news, page, server
):
    client = sign_in(bob)
    shown = client.get(page).text
    assert "Please confirm: {{ list.name }}" in shown
    assert "{{ confirm_url }}" in shown
    client.post(page, {**GOOD, "from_name": "Acme", "reply_to": "desk@acme.example"})
    assert "Is it you?" in client.get(page).text
    confirmations.ask(a_contact(workspace), lists=[news], source="Form")
    asking.ask(news.pk)
    work_all(Mailing.objects.get())
    (letter,) = letters(server)
    assert (letter["Subject"], letter["From"], letter["Reply-To"]) == (
        "Is it you?",
        "Acme <hello@acme.example>",
        "desk@acme.example",
    )


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"body": "Hi"}, "body", "The mail has no link to confirm by"),
        (
            {"body": "{% if contact.last_name != blank %}{{ confirm_url }}{% endif %}"},
            "body",
            "no link to confirm by",
        ),
        ({"body": "{% comment %}{{ confirm_url }}{% endcomment %}"}, "body", "no link to confirm by"),
        ({"body": "{{ confirm_url }} {% if %}"}, "body", "Line 1"),
        ({"body": "{{ confirm_url }} {{ contact.email | nonsense }}"}, "body", "there is no filter"),
        ({"body": "{{ confirm_url }}{% include 'x' %}"}, "body", "Line 1"),
        ({"subject": ""}, "subject", "Give the mail a subject."),
        ({"subject": "{{ list.name"}, "subject", "Line 1"),
        ({"subject": "a\u2028b"}, "subject", "Keep this on one line."),
        ({"body": " "}, "body", ""),
        ({"from_email": "nobody"}, "from_email", "This is no e-mail address"),
        ({"account": "999999"}, "account", ""),
        ({"body": "{{ confirm_url }}" + "x" * 20_001}, "body", "at most 20000"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_saved(sign_in, bob, page, typed, field, words):
    answer = sign_in(bob).post(page, {**GOOD, **typed})
    assert answer.status_code == 422
    assert words in " ".join(answer.context["form"].errors[field])
    assert not Confirmation.objects.exists()


def test_another_workspaces_account_cannot_be_chosen(sign_in, bob, mallory, page):
    from delivery.models import SendingAccount

    strange = SendingAccount.objects.create(
        workspace=mallory.workspaces.get(), name="Strange", provider="smtp"
    )
    assert sign_in(bob).post(page, {**GOOD, "account": strange.pk}).status_code == 422


def test_the_preview_shows_what_is_typed_and_saves_nothing(sign_in, bob, news):
    client, preview = sign_in(bob), reverse("list_confirmation_preview", args=[news.pk])
    typed = client.post(preview, {**GOOD, "body": "<script>alert(1)</script>\n\n{{ confirm_url }}"})
    assert "&lt;script&gt;" in typed.text
    assert "<script>" not in typed.text
    assert "Confirm my subscription" in typed.text
    assert "sandbox" in typed.headers["Content-Security-Policy"]
    assert "there is no filter" in client.post(preview, {**GOOD, "body": "{{ list.name | x }}"}).text
    assert "Garden news" in client.get(preview).text
    assert not Confirmation.objects.exists()


def test_a_test_goes_to_whoever_asks_and_its_link_changes_nothing(sign_in, bob, news, page, server, client):
    signed_in = sign_in(bob)
    signed_in.post(page, GOOD)
    signed_in.post(reverse("list_confirmation_test", args=[news.pk]))
    work_all(Mailing.objects.get())
    (letter,) = letters(server)
    assert letter["To"] == bob.email
    from tests.delivery.test_confirming import link_in

    assert "This is a test message" in client.get(link_in(letter)).text
    assert "This is a test message" in client.post(link_in(letter), {"do": "confirm"}, follow=True).text


def test_a_test_that_cannot_leave_says_why(sign_in, bob, news, account):
    account.delete()
    answer = sign_in(bob).post(reverse("list_confirmation_test", args=[news.pk]), follow=True)
    assert "There is no sending account yet." in answer.text
    assert not Mailing.objects.exists()


def test_without_a_known_address_the_page_asks_for_one(sign_in, bob, page, news):
    assert "from which address" in sign_in(bob).get(page).text
    assert "from which address" in sign_in(bob).get(reverse("list", args=[news.pk])).text


@pytest.mark.parametrize("name", ["list_confirmation", "list_confirmation_preview", "list_confirmation_test"])
def test_a_viewer_may_not_and_for_mallory_it_does_not_exist(sign_in, carol, mallory, news, name):
    url = reverse(name, args=[news.pk])
    assert sign_in(carol).post(url, GOOD).status_code == 403
    assert sign_in(mallory).post(url, GOOD).status_code == 404


def test_text_becomes_a_page_and_stays_text():
    html = page_of(
        "Hello <b>\nyou & me\n\n{% if contact.first_name %}\n\nSee https://acme.example/a?b=1&c=2.\n\n"
        "{% endif %}\n\n{{ confirm_url }}"
    )
    assert "Hello &lt;b&gt;<br>\nyou &amp; me</p>" in html
    assert '<a href="https://acme.example/a?b=1&amp;c=2">' in html
    assert "{% if contact.first_name %}<p" in html
    assert html.count('href="{{ confirm_url }}"') == 2
    assert page_of("Go: {{confirm_url}} now") == (
        '<p style="margin:0 0 16px">Go: <a href="{{confirm_url}}">{{confirm_url}}</a> now</p>\n'
    )
