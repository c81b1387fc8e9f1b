"""The heading of a page on a phone: one button, and a sheet with the others, by keyboard and without a script."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.e2e
PREPARE = """
from accounts.models import Role
from contacts.models import Segment
from tests.builders import a_contact, a_list
from tests.people import a_person, a_workspace
workspace = a_workspace("Acme headings")
ada = a_person("ada.headings@acme.example", name="Ada")
ada.memberships.all().delete()
a_person(ada.email, workspace=workspace, role=Role.ADMIN)
rules = {"join": "and", "rules": [{"subject": "email", "operator": "domain", "value": ["example.com"]}]}
print(json.dumps({
    "contacts": a_contact(workspace, first_name="Anna").pk, "lists": a_list(workspace, "News").pk,
    "segments": Segment.objects.create(workspace=workspace, name="Example", rules=rules).pk,
}))
"""


@pytest.fixture
def ids(volley, page):
    ids = volley.python(PREPARE)
    page.goto("/accounts/login/")
    page.get_by_label("E-mail address").fill("ada.headings@acme.example")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Acme headings")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    return ids


def test_the_other_buttons_open_and_close_by_keyboard_and_lead_on(page, ids):
    page.goto("/contacts/")
    more, tags = page.get_by_role("button", name="More actions"), page.get_by_role("link", name="Tags")
    expect(page.get_by_role("link", name="New contact")).to_be_visible()
    expect(tags).to_be_hidden()
    more.focus()
    page.keyboard.press("Enter")
    expect(tags).to_be_visible()
    page.keyboard.press("Escape")
    expect(tags).to_be_hidden()
    expect(more).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(tags).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Tags")).to_be_visible()


def test_headings_take_two_lines_at_most_and_a_wide_page_shows_every_button(page, ids):
    for room, pk in ids.items():
        page.goto(f"/{room}/{pk}/")
        buttons = page.locator(".page-header .btn-list")
        assert buttons.bounding_box()["height"] < 60
        page.set_viewport_size({"width": 1280, "height": 844})
        expect(page.get_by_role("button", name="More actions")).to_be_hidden()
        for button in page.locator(".more-buttons .btn").all():
            expect(button).to_be_visible()
        page.set_viewport_size({"width": 390, "height": 844})


def test_a_dialog_from_the_sheet_stands_above_the_page_and_not_below_the_sheet(page, ids):
    page.goto(f"/segments/{ids['segments']}/")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#more-buttons")).to_be_hidden()
    page.get_by_role("button", name="Delete the segment").click()
    expect(page.get_by_text("was deleted. Its people stay.")).to_be_visible()


def test_six_buttons_leave_the_title_its_room(page, ids):
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"/segments/{ids['segments']}/")
    expect(page.get_by_role("button", name="Duplicate")).to_be_visible()
    assert page.locator(".page-heading").bounding_box()["width"] >= 384
