"""The pages that recipients see are in their language; the catalogs say all that the pages do."""

import gettext
import re

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Workspace
from campaigns.content import compile_content
from config import catalogs
from contacts.models import Contact
from delivery.confirming.wording import words_of
from tests.builders import a_campaign, a_contact, a_list
from tests.delivery.test_unsubscribe import a_token

HEADINGS = {
    "en": "Unsubscribe",
    "de": "Abmelden",
    "fr": "Se désabonner",
    "es": "Darse de baja",
    "pt": "Cancelar a subscrição",
}


@pytest.fixture
def token(workspace):
    news = a_list(workspace)
    return a_token(workspace, a_contact(workspace, subscribed_to=[news]), lists=[news])


def read(token, accepts="") -> str:
    url = reverse("unsubscribe", args=[token])
    return Client().get(url, headers={"Accept-Language": accepts}).content.decode()


def assert_is_in(code: str, page: str) -> None:
    assert f'<html lang="{code}">' in page
    assert f'<h1 class="h2">{HEADINGS[code]}</h1>' in page


@pytest.mark.parametrize(
    ("accepts", "code"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr-CA", "fr"),
        ("es", "es"),
        ("pt-BR,pt;q=0.9", "pt"),
        ("ja,pt;q=0.5,en;q=0.2", "pt"),
        ("ja", "en"),
        ("", "en"),
        ("\x00;;q=x", "en"),
    ],
)
def test_the_browser_says_which(token, accepts, code):
    assert_is_in(code, read(token, accepts))


def test_the_workspace_says_which_where_the_browser_says_none_of_ours(token):
    Workspace.objects.update(language="es")
    assert_is_in("es", read(token, "ja"))
    assert_is_in("de", read(token, "de"))


@pytest.mark.parametrize("known", ["fr", "FR-be", "French", "Français"])
def test_what_the_marketer_knows_goes_before_the_browser(token, known):
    Contact.objects.update(attributes={"language": known})
    assert_is_in("fr", read(token, "de"))


def test_what_the_person_chose_goes_before_all(token):
    Contact.objects.update(attributes={"language": "fr"})
    Client().post(reverse("preferences", args=[token]), {"do": "save", "language": "pt"})
    assert_is_in("pt", read(token, "de"))


def test_one_click_answers_in_the_persons_language(token):
    Contact.objects.update(attributes={"language": "fr"})
    url = reverse("unsubscribe_one_click", args=[token])
    answer = Client().post(url, {"List-Unsubscribe": "One-Click"}, headers={"Accept-Language": "de"})
    assert answer.content.decode() == "Vous êtes désabonné.\n"


def test_the_page_after_it_is_in_english_again(token, sign_in, carol):
    read(token, "de")
    assert (
        "Campaigns"
        in sign_in(carol).get(reverse("campaigns"), headers={"Accept-Language": "de"}).content.decode()
    )


def test_what_volley_adds_to_messages_is_in_the_language_of_the_workspace(workspace):
    Workspace.objects.update(language="de")
    campaign = a_campaign(Workspace.objects.get(), content="<p>Hallo</p>", content_kind="html")
    content = compile_content(campaign)
    assert ">Abmelden</a>" in content.html_end
    assert "Abmelden: {{ unsubscribe_url }}" in content.text_end
    assert words_of(a_list(campaign.workspace, "Post")).subject == "Bitte bestätigen: {{ list.name }}"


@pytest.mark.parametrize("code", catalogs.CODES)
def test_every_text_is_translated(code):
    assert catalogs.missing(code) == [], (
        f"{code}: translate these in {catalogs.path_of(code)}, then `make texts`"
    )


@pytest.mark.parametrize("code", catalogs.CODES)
def test_the_kept_catalog_is_of_todays_texts_and_compiled(code):
    assert catalogs.path_of(code).read_bytes() == catalogs.as_text(catalogs.updated(code)), "run `make texts`"
    kept = gettext.GNUTranslations(catalogs.path_of(code).with_suffix(".mo").open("rb"))
    for message in catalogs.read(code):
        if message.id and isinstance(message.id, str):
            assert kept.gettext(message.id) == message.string, "run `make texts`"
        elif message.id:
            assert [kept.ngettext(*message.id, count) for count in (1, 30)] == list(message.string)


@pytest.mark.parametrize("code", catalogs.CODES)
def test_translations_keep_what_is_filled_in(code):
    filled = re.compile(r"%\(\w+\)s|\{\{.*?\}\}|</?\w+[^>]*>")
    for message in catalogs.read(code):
        ids, strings = (
            [each] if isinstance(each, str) else list(each) for each in (message.id, message.string)
        )
        if message.id:
            for one, other in zip(ids, strings, strict=True):
                assert sorted(filled.findall(one)) == sorted(filled.findall(other)), one


def test_the_languages_of_the_catalogs_are_those_of_the_settings(settings):
    assert ["en", *catalogs.CODES] == [code for code, _name in settings.LANGUAGES]
