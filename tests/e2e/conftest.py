"""A whole Volley and a real Chromium, shared by the browser tests of a run."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

from tests.e2e import looks
from tests.volley import Volley


@pytest.fixture(scope="package")
def volley():
    running = Volley(LOG_LEVEL="WARNING")
    yield running
    running.stop()


@pytest.fixture(scope="package")
def chromium():
    """Ends with the last of these tests: while it is driven, its event loop stops Django's database in this thread."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    if binary is None:
        assert not os.environ.get("VOLLEY_BROWSER_REQUIRED"), "Chromium is not installed."
        pytest.skip("Chromium is not installed.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        yield browser
        browser.close()


def _is_blocked_script(text: str) -> bool:
    """Blocked styles are left out: taking a screenshot adds one of the browser driver's own."""
    return "Content Security Policy" in text and "script-src" in text


@pytest.fixture
def page(chromium, volley):
    """A fresh visitor at 1280 px; what the pages throw or block fails the test."""
    context = chromium.new_context(
        base_url=volley.url, viewport={"width": 1280, "height": 900}, reduced_motion="reduce"
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    page.on("console", lambda said: wrong.append(said.text) if _is_blocked_script(said.text) else None)
    yield page
    print(*looks.FOUND, sep="\n")
    context.close()
    assert wrong == []
