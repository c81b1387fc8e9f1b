"""One contact's page in a real browser: values, tags and a choice's options by keyboard alone."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.e2e
PREPARE = """
from accounts.models import Role
from tests.builders import a_contact, a_field, a_list
from tests.people import a_person, a_workspace
workspace = a_workspace("Acme people")
ada = a_person("ada.people@acme.example", name="Ada")
ada.memberships.all().delete()
a_person(ada.email, workspace=workspace, role=Role.ADMIN)
a_field(workspace, "City")
a_field(workspace, "Orders", type="number")
a_field(workspace, "Born", type="date")
a_list(workspace, "News")
print(json.dumps({"pk": a_contact(workspace, first_name="Anna", city="Köln", orders=18, born="1993-02-10").pk}))
"""

MANY = """
from accounts.models import Workspace
from contacts.models import List, Tag
workspace = Workspace.objects.filter(name="Acme people").latest("pk")
for number in range(25):
    List.objects.get_or_create(workspace=workspace, name=f"Fair {number:02}")
    Tag.objects.get_or_create(workspace=workspace, name=f"Fair {number:02}")
print("{}")
"""


@pytest.fixture
def contact(volley, page):
    """A contact of Ada's, who is signed in; gives its address."""
    pk = volley.python(PREPARE)["pk"]
    page.goto("/accounts/login/")
    page.get_by_label("E-mail address").fill("ada.people@acme.example")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Acme people")).to_be_visible()
    return f"/contacts/{pk}/"


def test_values_and_tags_are_changed_by_keyboard(page, contact):
    page.goto(contact)
    pencil = page.get_by_role("link", name="Change First name")
    pencil.focus()
    page.keyboard.press("Enter")
    box = page.get_by_role("textbox", name="First name")
    expect(box).to_be_focused()
    box.fill("Somebody else")
    page.keyboard.press("Escape")
    expect(pencil).to_be_focused()
    expect(page.locator("#value-first_name")).to_contain_text("Anna")
    page.keyboard.press("Enter")
    box.fill("Anne")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Anne", exact=True)).to_be_visible()
    expect(pencil).to_be_focused()
    page.get_by_text("anna@example.com").last.click()
    email = page.get_by_role("textbox", name="E-mail address")
    email.fill("nonsense")
    page.keyboard.press("Enter")
    expect(page.locator("#value-email").get_by_role("alert")).to_contain_text("@-sign")
    expect(email).to_have_value("nonsense")
    expect(email).to_be_focused()
    page.get_by_label("Tag to add").fill("Met at the fair")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Take off Met at the fair")).to_be_visible()
    expect(page.get_by_label("Tag to add")).to_be_focused()
    page.get_by_role("button", name="Take off Met at the fair").press("Enter")
    expect(page.locator("#contact-tags")).to_contain_text("No tags.")


def test_what_the_browser_cannot_read_wipes_nothing(page, contact):
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.goto(contact)
    page.get_by_role("link", name="Change Orders").click()
    box = page.get_by_role("spinbutton", name="Orders")
    box.press("Control+a")
    page.keyboard.type("3e")
    page.keyboard.press("Enter")
    expect(box).to_be_focused()
    page.goto(f"{contact}edit/")
    born = page.get_by_label("Born")
    born.focus()
    page.keyboard.press("Delete")  # the month alone: the date is half a date now
    page.get_by_role("button", name="Save").click()
    expect(born).to_be_focused()
    assert sent == []
    born.fill("1993-03-10")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#value-attribute_born")).to_contain_text("10 Mar 1993")
    expect(page.locator("#value-attribute_orders")).to_contain_text("18")


def test_a_choice_is_made_renamed_and_put_in_order(page, contact):
    page.goto("/contacts/fields/new/")
    page.get_by_label("Name", exact=True).fill("Level")
    expect(page.get_by_label("Option")).to_be_hidden()
    page.get_by_label("Type").select_option("choice")
    page.get_by_label("Option").fill("Silver")
    for word in ("Gold", "Lead"):
        page.keyboard.press("Enter")
        page.keyboard.type(word)
    page.get_by_role("button", name="Move up").nth(1).click()
    page.get_by_role("button", name="Remove").nth(2).click()
    page.get_by_role("button", name="Make the field").click()
    expect(page.get_by_role("row", name="Level")).to_contain_text("Gold, Silver")
    expect(page.locator("[id^=field-][id$=-count]").first).to_have_text("1")


def test_a_list_is_chosen_for_a_new_contact_and_the_first_problem_is_in_sight(page, contact):
    page.goto("/contacts/new/")
    page.get_by_label("E-mail address").fill("bea@example.com")
    page.get_by_role("checkbox", name="News", exact=True).check()
    page.get_by_role("button", name="Add contact").click()
    agreed = page.get_by_role("checkbox", name="They agreed to get these mails")
    expect(agreed).to_be_focused()
    expect(agreed).to_be_in_viewport()
    agreed.check()
    page.get_by_role("button", name="Add contact").click()
    expect(page.get_by_role("heading", name="bea@example.com")).to_be_visible()
    expect(page.get_by_role("link", name="News", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    ("address", "search"),
    [
        ("/contacts/new/", "Search lists"),
        ("/segments/new/?rule.0.subject=tags&rule.0.operator=any_of", "Find in"),
    ],
)
def test_a_search_in_many_choices_leaves_those_that_it_finds_and_those_that_are_ticked(
    page, volley, contact, address, search
):
    volley.python(MANY)
    page.goto(address)
    page.get_by_label("Fair 07").check()
    page.get_by_label(search).fill("fair 11")
    expect(page.get_by_label("Fair 11")).to_be_visible()
    expect(page.get_by_label("Fair 07")).to_be_visible()
    expect(page.get_by_label("Fair 05")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Fair 07")).to_be_checked()
    assert page.url.endswith(address)
