"""What leaves: links that lead through us, a pixel, and neither where somebody does not want to be watched."""

import re
from email import message_from_bytes, policy

import pytest
from django.test import Client

from campaigns.content import compile_content
from delivery.actions import launch
from delivery.content import Content
from delivery.feedback import drain
from delivery.models import Event, Tracking
from delivery.pipeline.mold import Mold, Recipient
from delivery.pipeline.molds import frame_of, mold_of
from delivery.tracking.signing import read_link, read_person
from tests.builders import a_campaign, a_contact, a_field, a_list, an_account

pytestmark = pytest.mark.django_db

PAGE = """<html><body>
<a href="https://shop.example/spring?size=m&amp;color=green#top">Spring</a>
<a href="http://shop.example/plain">http://shop.example/plain</a>
<a href="https://shop.example/{{ contact.city | url_encode }}?of={{ contact.email }}">Yours</a>
<a href="{{ contact.site }}">Your site</a>
<a href="mailto:post@shop.example">Write</a> <a href="tel:+491234">Call</a> <a href="#top">Up</a>
<a href="https://shop.example/file?X-Amz-Signature=abc">Signed</a>
<a href="https://shop.example/own?utm_source=mine">Own</a>
<a href="https://shop.example/bare" data-utm="off">Bare</a>
<a href="https://shop.example/left" data-track="off">Left</a>
<!--[if mso]><v:roundrect href="https://shop.example/outlook">Go</v:roundrect><![endif]-->
<p>{{ workspace.postal_address }}</p><a href="{{ unsubscribe_url }}">Leave</a>
</body></html>"""
ANNA = Recipient(1, "anna@example.com", "Anna", "", {"city": "Köln", "site": "https://anna.example/?a=1&b=2"})
TAGS = "utm_source=acme&utm_medium=email&utm_campaign=spring-roast"


@pytest.fixture
def mailing(workspace):
    """mailing(opens=False) launches the page to Anna."""
    news = a_list(workspace)
    contact = a_contact(workspace, subscribed_to=[news], **ANNA.attributes)
    workspace.postal_address = "Street 1, Town"
    workspace.save()
    for key in ("city", "site"):
        a_field(workspace, key)

    def make(source=PAGE, *, opens=True, clicks=True, **fields):
        campaign = a_campaign(workspace, content_kind="html", content=source, **fields)
        return launch(
            workspace=workspace,
            name=campaign.name,
            account=an_account(workspace),
            content=compile_content(campaign),
            recipients=type(contact).objects.filter(pk=contact.pk),
            list_ids=[news.pk],
            opens=opens,
            clicks=clicks,
        )

    return make


def parts(mailing, recipient=ANNA):
    """HTML and text as a mail program reads them."""
    message = message_from_bytes(mold_of(mailing).fill(recipient), policy=policy.default)
    return message.get_body(("html",)).get_content(), message.get_body(("plain",)).get_content()


def hrefs(html):
    return [href.replace("&amp;", "&") for href in re.findall(r'href="([^"]*)"', html)]


def led(address, base="http://127.0.0.1:8000"):
    """Where a tracked address leads, and whose it is."""
    token, part = address.removeprefix(f"{base}/c/").split("/")
    person = read_person(token)
    return person.number, read_link(person.mailing_id, part).url


def test_web_links_lead_through_us_and_all_others_stay(mailing, settings):
    html, text = parts(mailing())
    found = hrefs(html)
    base = settings.PUBLIC_URL
    tracked = [led(each, base)[1] for each in found if each.startswith(f"{base}/c/")]
    assert tracked == [
        f"https://shop.example/spring?size=m&color=green&{TAGS}#top",
        f"http://shop.example/plain?{TAGS}",
        f"https://shop.example/K%C3%B6ln?of=anna@example.com&{TAGS}",
        f"https://anna.example/?a=1&b=2&{TAGS}",
        "https://shop.example/file?X-Amz-Signature=abc",
        "https://shop.example/own?utm_source=mine",
        "https://shop.example/bare",
        f"https://shop.example/outlook?{TAGS}",
        "",  # the link that nobody sees
    ]
    others = [each for each in found if not each.startswith(f"{base}/c/")]
    assert others[:4] == ["mailto:post@shop.example", "tel:+491234", "#top", "https://shop.example/left"]
    assert others[4].startswith(f"{base}/u/")
    assert "data-utm" not in html
    assert {led(each, base)[0] for each in found if each.startswith(f"{base}/c/")} == {1}
    in_text = [led(each, base)[1] for each in re.findall(rf"{base}/c/\S+[^\s)]", text)]
    assert in_text == [url for url in tracked if url and "outlook" not in url]
    assert "plain (" not in text, "an address that is its own text stands there once"


def test_one_picture_stands_last(mailing, settings):
    html, _ = parts(mailing())
    pictures = re.findall(rf'<img src="{settings.PUBLIC_URL}/o/([^"]*)\.gif"', html)
    assert [read_person(token).number for token in pictures] == [1]
    assert html.index("/o/") < html.index("</body>")


def test_opens_and_clicks_are_switched_off_apart(mailing, settings):
    html, text = parts(mailing(opens=False))
    assert ("/o/" in html, "/c/" in html) == (False, True)
    html, text = parts(mailing(clicks=False))
    assert ("/o/" in html, "/c/" in html + text) == (True, False)
    assert f"https://shop.example/spring?size=m&color=green&{TAGS}#top" in hrefs(html)
    assert f"https://shop.example/K%C3%B6ln?of=anna@example.com&{TAGS}" in hrefs(html)
    html, _ = parts(mailing(opens=False, clicks=False, utm=False))
    assert "https://shop.example/spring?size=m&color=green#top" in hrefs(html)
    assert "https://anna.example/?a=1&b=2" in hrefs(html)


def test_tags_are_the_campaigns_own_words(mailing):
    html, _ = parts(mailing(opens=False, clicks=False, utm_source="news & more", utm_campaign="Mai"))
    assert (
        "http://shop.example/plain?utm_source=news%20%26%20more&utm_medium=email&utm_campaign=Mai"
        in hrefs(html)
    )


def test_the_workspaces_rules_go_before(mailing, workspace):
    Tracking.objects.create(workspace=workspace, clicks=False)
    html, _ = parts(mailing())
    assert ("/o/" in html, "/c/" in html) == (True, False)


def test_who_has_not_agreed_gets_a_message_that_asks_nothing_of_us(mailing, workspace, settings):
    field = a_field(workspace, "May track", key="may_track", type="boolean")
    rules = Tracking.objects.create(workspace=workspace, needs_consent=True, consent_field=field)
    sent = mailing()
    yes, no = {**ANNA.attributes, "may_track": True}, {**ANNA.attributes, "may_track": False}
    assert "/c/" in parts(sent, ANNA._replace(attributes=yes))[0]
    for attributes in (no, ANNA.attributes, None):
        html, text = parts(sent, ANNA._replace(attributes=attributes))
        assert f"{settings.PUBLIC_URL}/c/" not in html + text
        assert "/o/" not in html
        assert "https://shop.example/spring" in html
    assert "may_track" in mold_of(sent).attributes, "which is loaded though the content does not read it"
    field.delete()
    rules.refresh_from_db()
    html, _ = parts(mailing(), ANNA._replace(attributes=yes))
    assert "/c/" not in html, "nobody has agreed to what nobody can say any more"


def test_in_privacy_mode_all_get_the_same_and_only_totals_are_kept(mailing, workspace, settings):
    Tracking.objects.create(workspace=workspace, is_nameless=True)
    sent = mailing()
    html, _ = parts(sent)
    links = [each for each in hrefs(html) if "/c/" in each]
    assert {led(each, settings.PUBLIC_URL)[0] for each in links} == {0}
    browser = Client(headers={"user-agent": "Mozilla/5.0 (iPhone) AppleWebKit/605"})
    browser.get(links[0].removeprefix(settings.PUBLIC_URL))
    drain.drain("hit")
    assert Event.objects.get().contact_id is None
    sent.refresh_from_db()
    assert (sent.click_total, sent.clicked_count) == (1, 0)


def test_a_link_of_ones_own_is_counted_by_what_it_was_made_from(mailing, settings):
    sent = mailing()
    html, _ = parts(sent)
    link = next(
        each for each in hrefs(html) if "/c/" in each and "K%C3%B6ln" in led(each, settings.PUBLIC_URL)[1]
    )
    answer = Client().get(link.removeprefix(settings.PUBLIC_URL))
    assert answer["Location"] == f"https://shop.example/K%C3%B6ln?of=anna@example.com&{TAGS}"
    drain.drain("hit")
    assert (
        Event.objects.get().url
        == "https://shop.example/{{ contact.city | url_encode }}?of={{ contact.email }}"
    )


def test_a_domain_of_ones_own_is_used_once_it_was_seen(mailing, workspace):
    rules = Tracking.objects.create(workspace=workspace, domain="t.acme.example")
    assert "t.acme.example" not in parts(mailing())[0]
    rules.domain_url = "https://t.acme.example"
    rules.save()
    html, text = parts(mailing())
    assert "https://t.acme.example/c/" in html
    assert "https://t.acme.example/o/" in html
    assert "https://t.acme.example/c/" in text


@pytest.mark.parametrize("is_plain", [False, True])
def test_leaving_and_choosing_are_under_the_domain_too_and_stay_there(mailing, workspace, settings, is_plain):
    rules = Tracking.objects.create(workspace=workspace, domain_url="https://t.acme.example")
    sent = mailing(f"{PAGE}{{{{ preferences_url }}}}", opens=False, clicks=False)
    Tracking.objects.filter(pk=rules.pk).update(domain_url="")

    def ours(frozen):
        mold = Mold(Content(**sent.content), frame_of(frozen), is_plain=is_plain)
        said = str(mold.letter(ANNA)) if is_plain else mold.fill(ANNA).decode().replace("=\r\n", "")
        return set(re.findall(r"(https?://[^/]+)/(\w)/", said))

    own = "https://t.acme.example"
    assert ours(sent) == {(own, "u"), (own, "p")}, (
        "also when nothing is watched, and the domain is another since"
    )
    sent.frame.pop("base")  # a campaign of before this
    assert ours(sent) == {(settings.PUBLIC_URL, "u"), (settings.PUBLIC_URL, "p")}


def test_a_campaign_of_an_older_volley_keeps_its_domain(mailing, workspace):
    sent = mailing()
    sent.frame["tracking"] |= {"base": "https://t.acme.example"}
    del sent.frame["base"]
    assert "https://t.acme.example/c/" in parts(sent)[0]


def test_a_contacts_value_makes_no_link_of_something_else(mailing):
    evil = {"city": "x", "site": "javascript:alert(1)"}
    html, _ = parts(mailing(), ANNA._replace(attributes=evil))
    assert "javascript:alert(1)" in hrefs(html)  # as it was: mail programs open no such link


def test_conditions_and_loops_around_links_are_filled_in(mailing, settings):
    source = """{% if contact.city == "Köln" %}<a href="https://shop.example/koeln">Dom</a>{% else %}<p>Hi</p>{% endif %}
    {% for n in (1..2) %}<a href="https://shop.example/n?{{ n }}">{{ n }}</a>{% endfor %}"""
    html, _ = parts(mailing(source, utm=False))
    tracked = [led(each, settings.PUBLIC_URL)[1] for each in hrefs(html) if "/c/" in each]
    assert tracked == [
        "https://shop.example/koeln",
        "https://shop.example/n?1",
        "https://shop.example/n?2",
        "",
    ]


@pytest.mark.parametrize("source", ["{% link 1 %}x{% endlink %}", "{% assign links = 1 %}x"])
def test_nobody_else_writes_what_leads_links(mailing, source):
    from delivery.liquid import TemplateProblem

    with pytest.raises(TemplateProblem, match="Volley’s own"):
        mailing(source)
