"""A page whose statement takes too long says so, and nobody else waits; workers and deeds take what they need."""

import subprocess
import sys

import pytest
from django.db import connection
from django.urls import reverse

from config import statement_time
from contacts.models import Import
from contacts.queries import imports as queries
from contacts.queries.limits import at_most
from tests.volley import ROOT

SHOW = """
import {module} as _
import django; django.setup()
from django.db import connection
cursor = connection.cursor()
cursor.execute("SHOW statement_timeout")
print(cursor.fetchone()[0])
"""


def shown() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return cursor.fetchone()[0]


@pytest.fixture
def a_web_process(transactional_db, settings):
    """As in a web process where a statement of a page may take a second."""
    options = settings.DATABASES["default"]["OPTIONS"]
    before = dict(options)
    connection.close()
    settings.WEB_STATEMENT_SECONDS = 1
    statement_time.limit_pages()
    yield
    options.clear()
    options.update(before)
    connection.close()


@pytest.fixture
def slow_imports(monkeypatch):
    """Reading the list of imports takes three seconds."""
    slow = lambda workspace, _search="": Import.objects.of(workspace).extra(  # noqa: E731
        where=["pg_sleep(3) IS NOT NULL"]
    )
    monkeypatch.setattr(queries, "recent", slow)


@pytest.mark.parametrize(("module", "limit"), [("config.wsgi", "5s"), ("config.settings", "0")])
def test_web_processes_alone_have_a_limit(db, module, limit):
    code = (
        f"import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings'\n{SHOW.format(module=module)}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == limit


def test_a_page_that_takes_too_long_says_so(a_web_process, slow_imports, workspace, sign_in, bob):
    Import.objects.create(workspace=workspace, file_name="a.csv", encoding="utf-8", delimiter=",")
    client = sign_in(bob)
    page = client.get(reverse("imports"))
    assert page.status_code == 503
    assert "It took too long and was stopped" in page.text
    part = client.get(reverse("imports"), headers={"HX-Request": "true", "HX-Target": "imports"})
    assert part.status_code == 503
    assert part.headers["HX-Retarget"] == "#toasts"
    assert client.get(reverse("contacts")).status_code == 200


def test_a_deed_may_take_longer_and_the_next_page_is_limited_again(
    a_web_process, workspace, sign_in, bob, monkeypatch
):
    seen = []
    monkeypatch.setattr("contacts.actions.tags.record", lambda *_given, **_named: seen.append(shown()))
    sign_in(bob).post(reverse("tag_new"), {"name": "vip"})
    assert seen == ["5min"]
    assert shown() == "1s"
    with at_most(10):
        assert shown() == "10s"
    assert shown() == "1s"
