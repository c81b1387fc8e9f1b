"""What recipients see in two languages, on a phone and on a desk, light and dark, by keyboard and without JavaScript."""

import pytest

from tests.e2e.looks import assert_all_is_well, look

pytestmark = pytest.mark.e2e
PREPARE = """
from delivery.links import unsubscribe_token
from delivery.models import Delivery
from delivery.preferences import moving
from tests.builders import a_contact, a_list
from tests.delivery.test_unsubscribe import a_token
from tests.people import a_workspace
workspace = a_workspace("Rösterei Wacholder")
news = a_list(workspace, "Neues aus der Rösterei", is_public=True, public_description="Every Friday: what we roast.")
a_list(workspace, "Tastings", is_public=True)
eve = a_contact(workspace, "eve@example.com", subscribed_to=[news])
print(json.dumps({"token": a_token(workspace, eve, lists=[news]), "address": moving.token_of(eve, "new@example.com")}))
"""


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("en-GB", ("Tastings", "At most one a week", "Save", "Saved.", "Too many messages", "Send", "Thank you")),
        ("de-DE", ("Tastings", "Höchstens eine pro Woche", "Speichern", "Gespeichert.", "Zu viele Nachrichten",
                   "Senden", "Danke")),
    ],
)  # fmt: skip
def test_somebody_chooses_and_leaves(volley, chromium, code, words):
    ids = volley.python(PREPARE)
    topic, weekly, save, saved, why, send, thanks = words
    context = chromium.new_context(locale=code, base_url=volley.url, reduced_motion="reduce")
    page = context.new_page()
    name = f"preferences-{code[:2]}"
    page.goto(f"/p/{ids['token']}/")
    assert page.locator("html").get_attribute("lang") == code[:2]
    look(page, name)
    page.get_by_label(topic).focus()
    page.keyboard.press("Space")
    page.get_by_label(weekly).check()
    page.get_by_role("button", name=save, exact=True).press("Enter")
    page.get_by_text(saved, exact=True).wait_for()
    assert page.get_by_label(topic).is_checked()
    assert page.get_by_label(weekly).is_checked()
    page.goto(f"/u/{ids['token']}/")
    look(page, f"unsubscribe-{code[:2]}")
    page.locator("button[value=lists]").click()
    page.get_by_label(why).check()
    look(page, f"unsubscribed-{code[:2]}")
    page.get_by_role("button", name=send, exact=True).click()
    page.get_by_text(thanks).wait_for()
    page.goto(f"/address/{ids['address']}/")
    look(page, f"address-{code[:2]}")
    context.close()
    assert_all_is_well()


def test_it_needs_no_javascript(volley, chromium):
    ids = volley.python(PREPARE)
    context = chromium.new_context(java_script_enabled=False, base_url=volley.url)
    page = context.new_page()
    page.goto(f"/p/{ids['token']}/")
    page.get_by_label("Pause").select_option("30")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Paused until").first.wait_for()
    context.close()
