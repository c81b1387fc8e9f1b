"""What every template keeps to, since a browser reads its attributes and no person does."""

import re
from pathlib import Path

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
# An attribute that a browser reads as a number or an id: with separators for thousands it would be another one.
READ_BY_MACHINES = re.compile(
    r"""\b(?:max|min|value|id|for|width|height|hx-target|aria-labelledby)="[^"]*?"""
    r"""\{\{\s*([\w.]*\b(?:pk|id|total|done|\w*_count|number|\w*_id))\s*\}\}"""
)


def test_no_attribute_prints_a_number_with_separators():
    found = [
        f"{path.relative_to(TEMPLATES)}: {{{{ {match[1]} }}}}: add |stringformat:'d'"
        for path in TEMPLATES.rglob("*.html")
        for match in READ_BY_MACHINES.finditer(path.read_text())
        if not match[1].endswith(("auto_id", "html_id", "id_for_label"))
    ]
    assert found == []
