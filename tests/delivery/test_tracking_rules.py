"""The workspace's rules of tracking: who may change them, and a domain that has to lead here before it is used."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from delivery.models import Tracking
from delivery.pipeline.molds import said_of
from delivery.tracking import domain, rules
from delivery.tracking.signing import mark
from tests.builders import a_field

PAGE = "/settings/tracking/"


def post(client, **values):
    return client.post(PAGE, values)


def test_an_admin_changes_them_and_the_trail_knows(sign_in, ada, workspace):
    assert b"Count who opens" in sign_in(ada).get(PAGE).content
    assert post(sign_in(ada), opens="on", is_nameless="on").status_code == 302
    row = Tracking.objects.get()
    assert (row.opens, row.clicks, row.is_nameless, row.workspace) == (True, False, True, workspace)
    assert AuditEntry.objects.filter(verb="tracking.changed", workspace=workspace).exists()


def test_a_marketer_may_not(sign_in, bob):
    assert sign_in(bob).get(PAGE).status_code == 403
    assert post(sign_in(bob), opens="on").status_code == 403
    assert not Tracking.objects.exists()


def test_consent_needs_a_field_of_this_workspace_that_says_yes_or_no(sign_in, ada, workspace, mallory):
    text, theirs = a_field(workspace, "Town"), a_field(mallory.workspaces.get(), "Agreed", type="boolean")
    for field in ("", text.pk, theirs.pk):
        assert post(sign_in(ada), opens="on", needs_consent="on", consent_field=field).status_code == 422
    mine = a_field(workspace, "Agreed", type="boolean")
    assert post(sign_in(ada), opens="on", needs_consent="on", consent_field=mine.pk).status_code == 302
    assert rules.tracked(workspace, opens=True, clicks=True).consent == "agreed"


@pytest.mark.parametrize("typed", ["https://t.brand.com", "t brand.com", "localhost", "127.0.0.1", "a..b"])
def test_a_domain_is_a_name_alone(sign_in, ada, typed):
    answer = post(sign_in(ada), domain=typed)
    assert answer.status_code == 422
    assert b"Write the name alone" in answer.content


class Site:
    """A web server that answers every request with the same words."""

    def __init__(self, words):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(words.encode())

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.name = f"localhost:{self.server.server_port}"


@pytest.fixture
def site():
    made = []

    def answering(words):
        made.append(Site(words))
        return made[-1].name

    yield answering
    for each in made:
        each.server.shutdown()
        each.server.server_close()


def test_a_domain_that_leads_here_is_used(site, workspace, ada):
    held = Tracking.objects.create(workspace=workspace, domain=site(mark() + "\n"))
    domain.check(held, by=ada)
    held.refresh_from_db()
    assert (held.domain_url, held.domain_said) == (f"http://{held.domain}", "")
    assert said_of(workspace)["base"] == held.domain_url


def test_a_domain_that_leads_elsewhere_is_not(site, workspace, ada):
    held = Tracking.objects.create(
        workspace=workspace, domain=site("secret of another"), domain_url="http://old"
    )
    domain.check(held, by=ada)
    held.refresh_from_db()
    assert held.domain_url == ""
    assert "not this Volley" in held.domain_said
    assert "secret" not in held.domain_said


def test_where_volley_has_https_so_has_its_domain(site, workspace, ada, settings):
    settings.PUBLIC_URL = "https://volley.example"
    held = Tracking.objects.create(workspace=workspace, domain=site(mark()))
    domain.check(held, by=ada)
    held.refresh_from_db()
    assert (held.domain_url, bool(held.domain_said)) == ("", True)


def test_another_domain_is_not_used_before_it_was_seen(sign_in, ada, workspace, monkeypatch):
    Tracking.objects.create(workspace=workspace, domain="t.old.com", domain_url="https://t.old.com")
    monkeypatch.setattr(domain, "_asked", lambda base: f"{base} does not answer")
    post(sign_in(ada), opens="on", domain="T.Brand.com.")
    row = Tracking.objects.get()
    assert (row.domain, row.domain_url) == ("t.brand.com", "")
    assert "does not answer" in sign_in(ada).get(PAGE).content.decode()
    sign_in(ada).post(reverse("tracking_check"))
    assert AuditEntry.objects.filter(verb="tracking.domain_checked").count() == 2
