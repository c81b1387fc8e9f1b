"""The whole main job as a newcomer does it: from an imported list to a message in an inbox, and out again."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.looks import assert_all_is_well, look

pytestmark = pytest.mark.e2e
FILE = Path(__file__).resolve().parents[1] / "contacts" / "files" / "mailchimp_export_utf8_bom.csv"
EMAIL, PASSWORD = "eve@new.example", "correct horse battery"
PLENTY = 60_000  # ms; a worker takes the job, on a busy machine


def test_from_an_imported_list_to_a_message_and_out_again(page):
    sign_up(page)
    give_address(page)
    import_contacts(page)
    write_campaign(page)
    preview_and_test(page)
    send_and_watch(page)
    address = open_message(page)
    leave(page, address)
    assert_all_is_well()


def sign_up(page):
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    look(page, "sign-in")
    page.get_by_role("link", name="Create an account").click()
    look(page, "sign-up")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Your name").fill("Eve")
    page.get_by_label("Company or project").fill("Eve's Shop")
    page.get_by_role("button", name="Create the account").click()
    expect(page.get_by_role("heading", name="Eve's Shop")).to_be_visible()
    look(page, "home-empty")


def give_address(page):
    page.goto("/settings/")
    page.get_by_label("Postal address").fill("Eve's Shop, 1 High Street, 12345 Springfield")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    look(page, "settings")


def import_contacts(page):
    page.goto("/")
    page.get_by_role("link", name="Import your contacts").click()
    look(page, "import-upload")
    page.get_by_label("File").set_input_files(FILE)
    page.get_by_role("button", name="Upload and look at the columns").click()
    expect(page.get_by_role("heading", name="What is in this file?")).to_be_visible()
    look(page, "import-columns")
    page.get_by_label("A new list").fill("Newsletter")
    page.get_by_label("These people agreed to get mail from us").check()
    page.get_by_label("Where and when they agreed").fill("Form on the web site")
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_text("This is what will happen")).to_be_visible(timeout=PLENTY)
    look(page, "import-check")
    page.get_by_role("button", name=re.compile("^Import .* people")).click()
    expect(page.get_by_role("link", name="See the contacts")).to_be_visible(timeout=PLENTY)
    look(page, "import-result")
    page.get_by_role("link", name="See the contacts").click()
    look(page, "contacts")


def write_campaign(page):
    page.goto("/campaigns/")
    look(page, "campaigns-empty")
    page.get_by_role("link", name="New campaign").click()
    page.get_by_label("Name").fill("Spring sale")
    page.get_by_role("button", name="Create the campaign").click()
    page.get_by_label("Send to Newsletter").check()
    expect(page.locator("#audience-count")).to_contain_text(re.compile(r"\d+ (people|person)"))
    look(page, "editor-audience")
    page.get_by_role("button", name="Save and continue").click()
    page.get_by_role("button", name=re.compile("Newsletter")).first.click()
    expect(page.get_by_label("Content", exact=True)).to_have_value(re.compile("<mjml"))
    page.frame_locator("iframe").get_by_text("Unsubscribe").first.wait_for()
    look(page, "editor-content")
    page.get_by_role("button", name="Save and continue").click()
    page.locator("[name=subject]").fill('Spring has come, {{ contact.first_name | default: "friend" }}')
    page.locator("[name=preheader]").fill("Everything in bloom")
    page.locator("[name=from_name]").fill("Eve's Shop")
    page.locator("[name=from_email]").fill("eve@shop.example")
    look(page, "editor-sender")
    page.get_by_role("button", name="Save and continue").click()
    page.wait_for_url(re.compile("/schedule/"))
    look(page, "editor-schedule")
    page.get_by_role("button", name="Save and continue").click()
    expect(page.get_by_role("heading", name="Before it leaves")).to_be_visible()
    page.frame_locator("iframe").get_by_text("Unsubscribe").first.wait_for()
    look(page, "editor-review")


def preview_and_test(page):
    """As one of the contacts, then into one's own mailbox, filled in as that contact."""
    page.get_by_label("Show it as a contact").fill("user1")
    page.locator("#preview-found").get_by_role("link").first.click()
    expect(page.locator("#preview-title")).to_contain_text("Preview as user1")
    page.get_by_role("link", name="Phone", exact=True).click()
    page.frame_locator("iframe").get_by_text("Unsubscribe").first.wait_for()
    page.get_by_label("Filled in as the contact").fill("user1@example.com")
    page.get_by_role("button", name="Send the test").click()
    expect(page.locator("body")).to_contain_text(re.compile("test", re.IGNORECASE))
    page.goto(f"/inbox/?search={EMAIL}")
    for _ in range(60):
        if page.locator("#messages tbody tr", has_text="Spring has come").count():
            break
        page.wait_for_timeout(500)
        page.reload()
    expect(page.locator("#messages tbody tr", has_text="Spring has come").first).to_be_visible()
    page.go_back()


def send_and_watch(page):
    page.goto("/campaigns/")
    page.get_by_role("link", name="Spring sale").click()
    page.goto(re.sub(r"/[a-z]+/$", "/review/", page.url))
    page.get_by_role("button", name=re.compile("^Send to .* now")).first.click()
    expect(page.locator("dialog[open]")).to_contain_text("What has been sent cannot be taken back")
    page.get_by_role("button", name="Send it", exact=True).click()
    page.wait_for_url(re.compile("/report/"))
    expect(page.locator("#progress").get_by_text("Sent", exact=True)).to_be_visible(timeout=PLENTY)
    look(page, "report")
    page.get_by_role("link", name="Recipients", exact=True).click()
    expect(page.locator("tbody tr").first).to_contain_text("Accepted")
    look(page, "recipients")


def open_message(page) -> str:
    page.goto("/inbox/?search=Spring")
    look(page, "inbox")
    row = page.locator("#messages tbody tr").first
    address = row.locator("td").first.inner_text()
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Spring has come")
    look(page, "inbox-message")
    page.get_by_role("link", name="Source").click()
    expect(page.get_by_text("List-Unsubscribe-Post: List-Unsubscribe=One-Click")).to_be_visible()
    return address


def leave(page, address):
    page.get_by_role("link", name="HTML").click()
    url = page.frame_locator("iframe").get_by_role("link", name="Unsubscribe").first.get_attribute("href")
    page.goto(url)
    expect(page.get_by_role("heading", name="Unsubscribe")).to_be_visible()
    look(page, "unsubscribe")
    page.get_by_role("button", name=re.compile("^Unsubscribe from .*Newsletter")).click()
    expect(page.get_by_role("heading", name="You are unsubscribed")).to_be_visible()
    look(page, "unsubscribe-done")
    page.goto("/contacts/")
    page.get_by_role("searchbox").fill(address)
    page.get_by_role("link", name=address).first.click()
    expect(page.get_by_text("Unsubscribed").first).to_be_visible()
    expect(page.locator(".timeline")).to_contain_text("250 2.0.0")
    expect(page.locator(".timeline")).not_to_contain_text("250 2.0.0 250")
    look(page, "contact")
