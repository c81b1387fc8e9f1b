"""Choosing many in a browser: over several pages, all that match, by keyboard, and what is done to them and undone."""

import re

import pytest

from tests.e2e.looks import assert_all_is_well, look
from tests.e2e.test_every_page import sign_in

pytestmark = pytest.mark.e2e
PREPARE = """
from campaigns import demo
demo.fill()
print(json.dumps({}))
"""


def chosen(page):
    return page.locator("[data-chosen-words]")


def test_people_are_chosen_over_pages_and_tagged_and_untagged(page, volley):
    volley.python(PREPARE)
    sign_in(page)
    page.goto("/contacts/")
    bar = page.locator("form[data-choose]")
    assert not bar.is_visible()
    page.locator('input[name="contact"]').nth(0).check()
    page.locator('input[name="contact"]').nth(2).focus()
    page.keyboard.press("Space")
    assert chosen(page).inner_text() == "2 chosen"
    page.get_by_role("link", name="Next").click()
    page.get_by_role("link", name="Back").wait_for()
    assert chosen(page).inner_text() == "2 chosen, 2 on other pages"
    page.locator('input[name="contact"]').nth(1).check()
    page.locator("[data-match-count]", has_text=re.compile(r"\d")).wait_for()
    look(page, "contacts-chosen")
    bar.get_by_role("button", name="Add tags").click()
    page.get_by_text("3 people, chosen one by one").wait_for()
    page.get_by_label("New tags").fill("spring fair")
    page.get_by_role("button", name="Tag 3 people").click()
    page.get_by_role("button", name="Undo for 3 people").click()
    page.get_by_text("As they were before").wait_for()
    page.goto("/contacts/")
    assert not bar.is_visible(), "what was done is chosen no more"
    assert_all_is_well()


def test_all_that_match_follow_the_search(page, volley):
    volley.python(PREPARE)
    sign_in(page)
    page.goto("/contacts/")
    page.locator("input[data-choose-page]").check()
    assert chosen(page).inner_text() == "50 chosen"
    with page.expect_response(lambda answer: "q=ben" in answer.url):
        page.get_by_label("Search").first.fill("ben")
    page.locator("form[data-choose]:not([data-active])").wait_for(state="attached")
    page.locator("input[data-choose-page]").check()
    page.get_by_label("that match").check()
    assert chosen(page).inner_text() == "All that match are chosen"
    count = page.locator("[data-match-count]", has_text=re.compile(r"\d"))
    count.wait_for()
    number = count.inner_text().strip()
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Suppress").click()
    page.get_by_role("button", name=f"Suppress {number} people").wait_for()
    page.get_by_text("Contacts, with “ben”").wait_for()
    page.go_back()
    page.get_by_role("button", name="Clear").click()
    assert not page.locator("form[data-choose]").is_visible()
