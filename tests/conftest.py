"""What every test may ask for: the people, their workspace, and a browser's client signed in as one of them."""

import gc
import os

import pytest
from django.db import connection
from xdist.scheduler import LoadScopeScheduling

from accounts.models import Role
from accounts.queue import redis_client
from delivery.pipeline import connections
from tests.at_once import AtOnce
from tests.dns_server import DnsServer
from tests.fake_esp.server import FakeEsp
from tests.people import a_person, a_workspace, signed_in
from tests.services import TEMPLATE
from tests.smtp_server import ScriptedServer


class _Groups(LoadScopeScheduling):
    """Each test to whichever worker is free; but what starts a whole Volley or a bench, one after the other in one."""

    ALONE = ("tests/e2e/", "tests/faults/", "tests/test_bench.py")

    def _split_scope(self, nodeid):
        return next((group for group in self.ALONE if nodeid.startswith(group)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Not by xdist's own groups: its release 3.8 does not see their marks under pytest 9.2."""
    return _Groups(config, log)


def pytest_collection_finish():
    """What was imported and collected is no garbage; to look it through again and again takes a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix):
    """Each worker's test database has its tables from the start."""
    if not os.environ.get("DATABASE_URL"):
        connection.settings_dict["TEST"]["TEMPLATE"] = TEMPLATE


@pytest.fixture(autouse=True)
def plain_settings(settings, tmp_path):
    """No hashed file names, quick passwords, uploads that go away, Redis apart from other test workers."""
    settings.STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.MEDIA_ROOT = tmp_path / "files"
    settings.JOURNALS = tmp_path / "journals"
    settings.STATIC_ROOT = tmp_path  # whitenoise warns where there is no such folder


@pytest.fixture(autouse=True)
def empty_redis(request):
    """What a test left there by id is not the next one's."""
    if request.node.get_closest_marker("django_db") or "db" in request.fixturenames:
        redis_client().flushdb()


@pytest.fixture
def workspace(db):
    return a_workspace()


@pytest.fixture
def alice(workspace):
    return a_person("alice@acme.example", name="Alice", workspace=workspace, role=Role.OWNER)


@pytest.fixture
def ada(workspace):
    return a_person("ada@acme.example", name="Ada", workspace=workspace, role=Role.ADMIN)


@pytest.fixture
def bob(workspace):
    return a_person("bob@acme.example", name="Bob", workspace=workspace, role=Role.MARKETER)


@pytest.fixture
def carol(workspace):
    return a_person("carol@acme.example", name="Carol", workspace=workspace, role=Role.VIEWER)


@pytest.fixture
def mallory(db):
    return a_person(
        "mallory@elsewhere.example", name="Mallory", workspace=a_workspace("Elsewhere"), role=Role.OWNER
    )


@pytest.fixture
def sign_in():
    """sign_in(alice) gives a client signed in as Alice."""
    return signed_in


@pytest.fixture
def at_once():
    """at_once(one, another) does both deeds at the same instant; see AtOnce."""
    made = AtOnce()
    yield made
    made.close()


@pytest.fixture
def server():
    """A mail server that does what a test tells it."""
    made = ScriptedServer()
    yield made
    connections.close_all()
    made.close()


@pytest.fixture
def fake_esp():
    """Every provider's API; whoever leaves a placeholder without a value hears of it here."""
    with FakeEsp() as fake:
        yield fake
    assert not fake.unfilled, "placeholders without a value"


@pytest.fixture
def name_server(settings):
    """The name server that domains are checked by; it knows nothing until a test says so."""
    made = DnsServer()
    settings.DNS_RESOLVERS = [made.address]
    yield made
    made.close()
