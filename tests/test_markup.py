"""Whatever people type, on every page it is text."""

import pytest

from accounts.models import Role
from tests.markup import MARKUP, elements_of
from tests.people import signed_in
from tests.test_every_page import PAGE, TABLE, a_world, ask

pytestmark = pytest.mark.django_db


def test_what_people_type_is_text_on_every_page():
    world = a_world(MARKUP)
    client = signed_in(world.people[Role.OWNER])
    shown = {}
    for name in (name for name, (method, _) in TABLE.items() if method == PAGE):
        answer = ask(client, "GET", world.url(name))
        assert answer.status_code < 500, name
        page = b"".join(answer).decode(errors="replace")
        if answer["Content-Type"].startswith("text/html"):
            assert not {"xss", "onx"} & elements_of(page), name
            shown[name] = "&lt;xss" in page.lower()
    assert sum(shown.values()) > 40, shown
