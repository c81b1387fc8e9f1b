"""Choosing the columns of the contacts in a browser, and how wide tables and stacked rows look then."""

import pytest

from tests.e2e.looks import assert_all_is_well, look
from tests.e2e.test_every_page import sign_in

pytestmark = pytest.mark.e2e
PREPARE = """
from campaigns import demo
from contacts.models import Contact, CustomField
workspace = demo.fill()
for number, kind in enumerate(("text", "text", "boolean")):
    CustomField.objects.create(workspace=workspace, key=f"more_{number}", label=f"One more {number}", type=kind)
newest = Contact.objects.filter(workspace=workspace).latest("pk")
newest.attributes |= {"more_0": "Donaudampfschifffahrt" * 5, "more_1": "a few words " * 20, "more_2": True}
newest.save()
print(json.dumps({}))
"""


def test_columns_are_chosen_above_the_search_that_stays(page, volley):
    volley.python(PREPARE)
    sign_in(page)
    page.goto("/contacts/")
    page.get_by_text("5,000 contacts").wait_for()
    with page.expect_response(lambda answer: "found=1" in answer.url and "q=ben" in answer.url):
        page.get_by_label("Search").first.fill("ben")
    page.locator("[data-found-count]", has_text="contacts").wait_for()
    assert page.get_by_text("5,000 contacts").count() == 0
    page.get_by_role("button", name="Columns").click()
    look(page, "contacts-columns-menu")
    menu = page.locator("form.columns-menu")
    for box in menu.get_by_role("checkbox").all():
        box.check()
    menu.get_by_role("button", name="Show these").click()
    page.get_by_role("columnheader", name="One more 2").wait_for()
    assert "q=ben" in page.url
    look(page, "contacts-columns")
    box = page.locator(".table-responsive")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth"), "the table scrolls in its own box"
    page.get_by_role("button", name="Columns").click()
    menu.get_by_role("button", name="Reset").click()
    page.get_by_role("columnheader", name="One more 2").wait_for(state="detached")
    assert_all_is_well()
