"""How a page looks: whether it fits two widths, and what axe says of it in light and dark.

With VOLLEY_SCREENSHOTS=1 four pictures of each are left in var/screenshots; they take half the time again.
"""

import os
from pathlib import Path

from axe_playwright_python.base import AXE_SCRIPT

SCREENSHOTS = Path(__file__).resolve().parents[2] / "var" / "screenshots"
WITH_PICTURES = bool(os.environ.get("VOLLEY_SCREENSHOTS"))
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
EXAMINED = {(1280, "light"), (390, "dark")}  # by axe: both widths and both schemes, in half the time
# Sandboxed mail in an iframe is what the marketer wrote, not ours.
FOUND: list[str] = []
IGNORED = {"exclude": [["iframe"]]}
OPTIONS = {"resultTypes": ["violations"], "preload": False}  # styles are read by the browser, not by axe


def look(page, name: str) -> None:
    """What is wrong with how the page looks is kept for `assert_all_is_well`."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in SCHEMES:
            page.evaluate("scheme => { document.documentElement.dataset.bsTheme = scheme }", scheme)
            if WITH_PICTURES:
                _take_picture(page, f"{name}-{width}-{scheme}")
            if (width, scheme) in EXAMINED:
                FOUND.extend(_by_axe(page, f"{name} at {width} px, {scheme}"))
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        if overflow > 0:
            FOUND.append(f"{name} is {overflow} px too wide at {width}")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.evaluate("document.documentElement.dataset.bsTheme = 'light'")


def _take_picture(page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    _paint_frames(page)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def _paint_frames(page) -> None:
    """Chromium paints a sandboxed frame only once it was in view."""
    for frame in page.locator("iframe:visible").all():
        frame.scroll_into_view_if_needed()
        page.wait_for_timeout(150)
    page.evaluate("scrollTo(0, 0)")


def _by_axe(page, where: str) -> list[str]:
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(AXE_SCRIPT)
    violations = page.evaluate("async how => (await axe.run(...how)).violations", [IGNORED, OPTIONS])
    return [
        f"{where}: {violation['id']}: {violation['help']}: "
        + "; ".join(node["html"][:160] for node in violation["nodes"][:4])
        for violation in violations
    ]


def assert_all_is_well() -> None:
    """Once a whole path was walked, so that one run names everything."""
    found, FOUND[:] = list(dict.fromkeys(FOUND)), []
    assert not found, "\n".join(found)
