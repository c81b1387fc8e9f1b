"""The editor in a real browser: what it says of a save is true, and nothing typed is lost without a word."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.e2e
SAVED = re.compile(r"^\s*Saved at \d\d:\d\d:\d\d\s*$")
PREPARE = """
from accounts.models import Role
from tests.builders import a_campaign, a_contact, a_list, an_account
from tests.people import a_person, a_workspace
workspace = a_workspace("Acme")
bob = a_person("bob@acme.example", name="Bob")
bob.memberships.all().delete()
a_person(bob.email, workspace=workspace, role=Role.MARKETER)
news = a_list(workspace)
a_contact(workspace, subscribed_to=[news])
account = an_account(workspace, provider="inbox", is_default=True)
print(json.dumps({"pk": a_campaign(workspace, lists=[news], account=account).pk}))
"""


@pytest.fixture
def campaign(volley, page):
    """A draft of Bob's, who is signed in; gives its address."""
    pk = volley.python(PREPARE)["pk"]
    sign_in(page)
    return f"/campaigns/{pk}"


def sign_in(page):
    page.goto("/accounts/login/")
    page.get_by_label("E-mail address").fill("bob@acme.example")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Acme")).to_be_visible()


def saved(page):
    return page.locator("#saved")


def subject(page):
    return page.locator("[name=subject]")


def test_saves_of_one_tab_follow_each_other(page, campaign):
    page.goto(f"{campaign}/content/")
    source = page.get_by_label("Content", exact=True)
    source.fill("")
    for word in ("<p>One", " two", " three", " four</p>"):
        source.press_sequentially(word, delay=60)
        page.wait_for_timeout(850)  # the next word is typed while the last save is on its way
    expect(saved(page)).to_have_text(re.compile("Saved at"))
    page.get_by_text("HTML", exact=True).click()
    expect(saved(page)).to_have_text(SAVED)
    page.reload()
    expect(page.get_by_label("Content", exact=True)).to_have_value("<p>One two three four</p>")


def test_save_and_continue_waits_for_the_save_that_is_under_way(page, campaign):
    """Or the page would be refused as older than what it has just saved itself."""
    page.goto(f"{campaign}/sender/")

    def late(route):
        page.wait_for_timeout(700)
        route.continue_()

    page.route("**/sender/", late, times=1)
    subject(page).fill("Typed first")
    expect(saved(page)).to_have_text("Saving …")
    page.locator("[name=from_name]").fill("Typed next")
    page.get_by_role("button", name="Save and continue").click()
    page.wait_for_url(re.compile("/schedule/"))
    page.goto(f"{campaign}/sender/")
    expect(subject(page)).to_have_value("Typed first")
    expect(page.locator("[name=from_name]")).to_have_value("Typed next")


def test_what_is_typed_offline_is_not_said_to_be_saved_and_is_saved_later(page, campaign):
    page.goto(f"{campaign}/sender/")
    subject(page).fill("Typed in time")
    expect(saved(page)).to_have_text(SAVED)
    page.context.set_offline(True)
    subject(page).fill("Typed in a tunnel")
    expect(saved(page)).to_have_text("Not saved: Volley cannot be reached. It is tried again.")
    assert asks_before_leaving(page)
    page.get_by_role("button", name="Save and continue").click()  # would lead to an error page of the browser
    expect(subject(page)).to_have_value("Typed in a tunnel")
    page.context.set_offline(False)
    expect(saved(page)).to_have_text(SAVED)
    page.reload()
    expect(subject(page)).to_have_value("Typed in a tunnel")


def test_a_fault_of_volley_is_said_and_tried_again(page, campaign):
    page.goto(f"{campaign}/sender/")
    page.route("**/sender/", lambda route: route.fulfill(status=500, body="<h1>Oops</h1>"))
    subject(page).fill("Typed while it was broken")
    expect(saved(page)).to_have_text("Not saved: something went wrong in Volley. It is tried again.")
    page.unroute("**/sender/")
    expect(saved(page)).to_have_text(SAVED)


def test_leaving_asks_only_while_something_is_not_saved(page, campaign):
    page.goto(f"{campaign}/sender/")
    page.locator("[name=reply_to]").fill("no address")
    expect(saved(page)).to_have_text("Not saved: Answers go to. The rest is saved.")
    assert asks_before_leaving(page)
    page.locator("[name=reply_to]").fill("bob@acme.example")
    expect(saved(page)).to_have_text(SAVED)
    page.get_by_role("button", name="Save and continue").click()
    page.wait_for_url(re.compile("/schedule/"))


def asks_before_leaving(page) -> bool:
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_role("link", name="Contacts", exact=True).click(no_wait_after=True)
    page.wait_for_timeout(500)
    return asked == ["beforeunload"]


def test_a_stale_tab_does_not_write_over_a_newer_one_unless_told_to(page, campaign):
    other = page.context.new_page()
    for tab in (page, other):
        tab.goto(f"{campaign}/sender/")
    subject(page).fill("Newer")
    expect(saved(page)).to_have_text(SAVED)
    subject(other).fill("From a stale tab")
    expect(saved(other)).to_contain_text("Changed in another tab or by somebody else at")
    expect(subject(other)).to_have_value("From a stale tab")
    page.reload()
    expect(subject(page)).to_have_value("Newer")
    other.get_by_role("button", name="keep mine").click()
    expect(saved(other)).to_have_text(SAVED)
    page.reload()
    expect(subject(page)).to_have_value("From a stale tab")


def test_who_is_signed_out_signs_in_in_another_tab_and_types_on(page, campaign):
    page.goto(f"{campaign}/sender/")
    other = page.context.new_page()
    other.goto("/")
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    subject(page).fill("Typed after signing out")
    expect(saved(page)).to_have_text("Not saved: you are signed out. Sign in in another tab, then type on.")
    sign_in(other)
    subject(page).press("End")
    subject(page).press("!")
    expect(saved(page)).to_have_text(SAVED)
    page.get_by_role("button", name="Save and continue").click()
    page.wait_for_url(re.compile("/schedule/"))


def test_a_sent_campaigns_review_does_not_come_back(page, campaign):
    page.goto(f"{campaign}/review/")
    page.get_by_role("button", name=re.compile("^Send to .* now")).first.click()
    dialog = page.locator("dialog[open]")
    box = dialog.bounding_box()
    assert box["height"] < 400
    assert abs(box["y"] + box["height"] / 2 - 450) < 5, "in the middle of the window"
    page.get_by_role("button", name="Send it", exact=True).click()
    page.wait_for_url(re.compile("/report/"))
    page.go_back()
    expect(page.get_by_role("button", name=re.compile("^Send to .* now"))).to_have_count(0)


def test_an_empty_draft_says_that_nothing_is_written_until_something_is(page, campaign, volley):
    pk = int(campaign.rsplit("/", 1)[1])
    volley.python(
        f"from campaigns.models import Campaign; print(Campaign.objects.filter(pk={pk}).update(content=''))"
    )
    page.goto(f"{campaign}/content/")
    nothing, frame = (
        page.get_by_text("Nothing written yet. Choose a beginning above, or write."),
        page.locator("iframe"),
    )
    expect(nothing).to_be_visible()
    expect(frame).to_be_hidden()
    page.get_by_text("HTML", exact=True).click()
    page.get_by_label("Content", exact=True).fill("<p>Written</p>")
    expect(page.frame_locator("iframe").get_by_text("Written")).to_be_visible()
    expect(nothing).to_be_hidden()


def test_long_names_stay_inside_the_pages(page, campaign, volley):
    pk = int(campaign.rsplit("/", 1)[1])
    ids = volley.python(f"""
from campaigns.models import Campaign
from contacts.models import Contact, List
Campaign.objects.filter(pk={pk}).update(name="C" * 145)
workspace = Campaign.objects.get(pk={pk}).workspace
List.objects.filter(workspace=workspace).update(name="L" * 110)
Contact.objects.filter(workspace=workspace).update(first_name="F" * 110)
print(json.dumps({{"contact": Contact.objects.get(workspace=workspace).pk}}))
""")
    addresses = ["/", "/campaigns/", f"/contacts/{ids['contact']}/"]
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for address in [
            *addresses,
            *(f"{campaign}/{step}/" for step in ("audience", "content", "sender", "review")),
        ]:
            page.goto(address)
            too_wide = "e => e.scrollWidth > e.clientWidth + 1"
            assert not page.locator("html").evaluate(too_wide), (address, width)
            for box in page.locator(".table-responsive, .page-header .container-xl").all():
                assert not box.evaluate(too_wide), (address, width)


def test_colors_follow_the_system_until_chosen(page, campaign):
    def are(theme):
        expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)

    button = page.get_by_role("button", name=re.compile("^Colors:"))
    for system in ("dark", "light"):
        page.emulate_media(color_scheme=system)
        are(system)
    button.click()  # from what the system prefers to light, dark, and back
    page.emulate_media(color_scheme="dark")
    page.reload()
    are("light")
    button.click()
    page.emulate_media(color_scheme="light")
    page.reload()
    are("dark")
    button.click()
    are("light")
    expect(button).to_have_attribute("aria-label", "Colors: system. Change to light")
