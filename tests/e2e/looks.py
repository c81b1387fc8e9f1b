"""How a page looks: screenshots at two widths in light and dark, and what axe says of it."""

from pathlib import Path

from axe_playwright_python.sync_playwright import Axe

SCREENSHOTS = Path(__file__).resolve().parents[2] / "var" / "screenshots"
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
# Sandboxed mail in an iframe is what the marketer wrote, not ours.
IGNORED = {"exclude": [["iframe"]]}


def look(page, name: str) -> None:
    """Take the four pictures of the page and assert that axe finds nothing wrong in any of them."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in SCHEMES:
            page.evaluate("scheme => { document.documentElement.dataset.bsTheme = scheme }", scheme)
            page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
            overflow = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert overflow <= 0, f"{name} is {overflow} px too wide at {width}"
            assert_accessible(page, f"{name} at {width} px, {scheme}")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.evaluate("document.documentElement.dataset.bsTheme = 'light'")


def assert_accessible(page, where: str) -> None:
    violations = Axe().run(page, context=IGNORED).response["violations"]
    found = [
        f"{violation['id']}: {violation['help']}: "
        + "; ".join(node["html"][:160] for node in violation["nodes"][:4])
        for violation in violations
    ]
    assert not found, f"axe, {where}:\n" + "\n".join(found)
