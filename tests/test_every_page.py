"""Every page of the project, asked for by everybody: who may open it, that a GET changes nothing, what it costs.

A page that is missing from TABLE fails; so does a row of TABLE whose page is gone. The world they are asked in is made
once: what an answer did to it is taken back before the next question.
"""

import re
from dataclasses import dataclass

import pytest
from allauth.account.models import EmailAddress
from django.core import signing
from django.db import connection, reset_queries, transaction
from django.test import Client, TestCase
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from accounts.models import Invitation, Membership, Role, User, record
from accounts.queue import redis_client
from campaigns.actions import lifecycle
from contacts.actions import confirmations
from contacts.models import (
    BulkRun,
    Contact,
    Export,
    Import,
    ImportState,
    List,
    ListSuppression,
    Suppression,
    Tag,
)
from contacts.views.exports import SALT
from delivery.confirming import asking
from delivery.domains.findings import Finding
from delivery.links import confirm_token, unsubscribe_token
from delivery.models import InboxMessage, Mailing
from delivery.preferences import moving
from delivery.tracking.signing import Target, link_part, person_token
from tests.builders import a_campaign, a_contact, a_domain, a_field, a_list, a_mailbox, a_segment, an_account
from tests.markup import twice
from tests.people import a_person, a_workspace, signed_in

ANYONE, SIGNED_IN = "anyone", "signed in"
VIEWER, MARKETER, ADMIN = Role.VIEWER, Role.MARKETER, Role.ADMIN
PAGE, DEED = "GET", "POST"  # a deed answers a GET with 405
MOST_QUERIES = 20
SETTINGS = "(RELEASE )?SAVEPOINT|SET LOCAL|RESET|SELECT set_config"  # read nothing
SECRET = "Acme-only"  # stands in the name of everything in the workspace; no stranger may ever read it
ALLAUTH = {
    "account_login": ANYONE,
    "account_logout": ANYONE,
    "account_inactive": ANYONE,
    "account_signup": ANYONE,
    "account_reauthenticate": SIGNED_IN,
    "account_email": SIGNED_IN,
    "account_email_verification_sent": ANYONE,
    "account_change_password": SIGNED_IN,
    "account_set_password": SIGNED_IN,
    "account_reset_password": ANYONE,
    "account_confirm_login_code": ANYONE,
    "account_confirm_email": ANYONE,
    "account_reset_password_from_key_done": ANYONE,
    "account_reset_password_from_key": ANYONE,
    "account_reset_password_done": ANYONE,
}
# name: (page or deed, from which role on)
TABLE = {
    **{name: (PAGE, lowest) for name, lowest in ALLAUTH.items()},
    "healthz": (PAGE, ANYONE),
    "workspace_new": (PAGE, SIGNED_IN),
    "workspace_switch": (DEED, SIGNED_IN),
    "workspace_settings": (PAGE, ADMIN),
    "people": (PAGE, ADMIN),
    "invite": (DEED, ADMIN),
    "member_role": (DEED, ADMIN),
    "member_remove": (DEED, ADMIN),  # of somebody else; everybody may leave
    "invitation_withdraw": (DEED, ADMIN),
    "audit": (PAGE, ADMIN),
    "invitation": (PAGE, ANYONE),
    "invitation_accept": (DEED, SIGNED_IN),
    "contacts": (PAGE, VIEWER),
    "columns": (PAGE, VIEWER),
    "contact_new": (PAGE, MARKETER),
    "contact": (PAGE, VIEWER),
    "contact_edit": (PAGE, MARKETER),
    "contact_delete": (PAGE, MARKETER),
    "contact_subscribe": (PAGE, MARKETER),
    "contact_unsubscribe": (DEED, MARKETER),
    "contact_ask_again": (DEED, MARKETER),
    "contact_value": (PAGE, MARKETER),
    "contact_tags": (DEED, MARKETER),
    "contact_tag_suggestions": (PAGE, VIEWER),
    "contact_timeline": (PAGE, VIEWER),
    "contact_suppress": (PAGE, MARKETER),
    "contact_merge": (PAGE, MARKETER),
    "contact_erase": (PAGE, ADMIN),
    "contact_file": (DEED, MARKETER),
    "tags": (PAGE, VIEWER),
    "tag_counts": (PAGE, VIEWER),
    "tag_new": (PAGE, MARKETER),
    "tag_edit": (PAGE, MARKETER),
    "tag_delete": (PAGE, MARKETER),
    "fields": (PAGE, VIEWER),
    "field_counts": (PAGE, VIEWER),
    "field_new": (PAGE, ADMIN),
    "field_move": (DEED, ADMIN),
    "field_edit": (PAGE, ADMIN),
    "field_delete": (PAGE, ADMIN),
    "lists": (PAGE, VIEWER),
    "list_new": (PAGE, MARKETER),
    "list": (PAGE, VIEWER),
    "list_health": (PAGE, VIEWER),
    "list_ask_again": (DEED, MARKETER),
    "list_edit": (PAGE, MARKETER),
    "list_archive": (DEED, MARKETER),
    "list_unarchive": (DEED, MARKETER),
    "suppressions": (PAGE, VIEWER),
    "erased": (PAGE, VIEWER),
    "suppression_new": (PAGE, MARKETER),
    "suppression_export": (DEED, MARKETER),
    "suppression_lift": (PAGE, ADMIN),
    "suppression_delete": (PAGE, ADMIN),
    "list_suppression_delete": (PAGE, ADMIN),
    "bounces": (PAGE, VIEWER),
    "bounces_export": (DEED, MARKETER),
    "bounces_undo": (PAGE, ADMIN),
    "imports": (PAGE, VIEWER),
    "import_new": (PAGE, MARKETER),
    "import": (PAGE, VIEWER),
    "import_map": (PAGE, MARKETER),
    "import_start": (DEED, MARKETER),
    "import_undo": (PAGE, MARKETER),
    "import_cancel": (DEED, MARKETER),
    "import_refused": (PAGE, VIEWER),
    "exports": (PAGE, MARKETER),
    "export_new": (PAGE, MARKETER),
    "export_cancel": (DEED, MARKETER),
    "export_delete": (DEED, MARKETER),
    "export_file": (PAGE, MARKETER),
    "bulk_runs": (PAGE, VIEWER),
    "bulk_new": (PAGE, MARKETER),
    "bulk_count": (PAGE, VIEWER),
    "bulk": (PAGE, VIEWER),
    "bulk_cancel": (DEED, MARKETER),
    "bulk_undo": (DEED, MARKETER),
    "segments": (PAGE, VIEWER),
    "segment_new": (PAGE, MARKETER),
    "segment_count": (DEED, VIEWER),
    "segment_recount": (DEED, VIEWER),
    "segment_freeze": (DEED, MARKETER),
    "segment": (PAGE, VIEWER),
    "segment_edit": (PAGE, MARKETER),
    "segment_duplicate": (DEED, MARKETER),
    "segment_delete": (DEED, MARKETER),
    "sending": (PAGE, ADMIN),
    "sending_new": (PAGE, ADMIN),
    "sending_edit": (PAGE, ADMIN),
    "sending_delete": (DEED, ADMIN),
    "sending_test": (DEED, ADMIN),
    "sending_default": (DEED, ADMIN),
    "sending_use": (DEED, ADMIN),
    "sending_set_aside": (DEED, ADMIN),
    "sending_test_bounce": (DEED, ADMIN),
    "sending_fetch": (DEED, ADMIN),
    "sending_fetch_cancel": (DEED, ADMIN),
    "mailboxes": (PAGE, ADMIN),
    "mailbox_new": (PAGE, ADMIN),
    "mailbox_edit": (PAGE, ADMIN),
    "mailbox_test": (DEED, ADMIN),
    "mailbox_read": (DEED, ADMIN),
    "mailbox_delete": (DEED, ADMIN),
    "tracking": (PAGE, ADMIN),
    "tracking_check": (DEED, ADMIN),
    "sending_hook_key": (DEED, ADMIN),
    "sending_hook_renew": (DEED, ADMIN),
    "sending_hook_confirm": (DEED, ADMIN),
    "sending_hook_bounce": (DEED, ADMIN),
    "hook": (PAGE, ANYONE),  # a provider's, by its own signature
    "domains": (PAGE, ADMIN),
    "domain_new": (PAGE, ADMIN),
    "domain": (PAGE, ADMIN),
    "domain_check": (DEED, ADMIN),
    "domain_rotate": (DEED, ADMIN),
    "domain_delete": (DEED, ADMIN),
    "sender_rules": (PAGE, ADMIN),
    "operations": (PAGE, ADMIN),
    "metrics": (PAGE, ANYONE),  # by its own token
    # The local inbox is for whoever uses this machine: password resets land there.
    "inbox": (PAGE, ANYONE),
    "inbox_clear": (DEED, ANYONE),
    "inbox_message": (PAGE, ANYONE),
    "inbox_part": (PAGE, ANYONE),
    "list_confirmation": (PAGE, MARKETER),
    "list_confirmation_preview": (PAGE, MARKETER),
    "list_confirmation_test": (DEED, MARKETER),
    "list_confirmation_resume": (DEED, MARKETER),
    "list_confirmation_cancel": (DEED, MARKETER),
    "confirm": (PAGE, ANYONE),
    "opened": (PAGE, ANYONE),
    "clicked": (PAGE, ANYONE),
    "well_known": (PAGE, ANYONE),
    "unsubscribe": (PAGE, ANYONE),
    "unsubscribe_one_click": (DEED, ANYONE),
    "preferences": (PAGE, ANYONE),
    "address": (PAGE, ANYONE),
    "list_reasons": (PAGE, VIEWER),
    "home": (PAGE, VIEWER),
    "campaigns": (PAGE, VIEWER),
    "campaign": (PAGE, VIEWER),
    "campaign_new": (PAGE, MARKETER),
    "campaign_audience": (PAGE, MARKETER),
    "campaign_content": (PAGE, MARKETER),
    "campaign_sender": (PAGE, MARKETER),
    "campaign_schedule": (PAGE, MARKETER),
    "campaign_review": (PAGE, VIEWER),
    "campaign_preview": (PAGE, VIEWER),
    "campaign_preview_contacts": (PAGE, VIEWER),
    "campaign_test": (DEED, MARKETER),
    "campaign_send": (DEED, MARKETER),
    "campaign_schedule_set": (DEED, MARKETER),
    "campaign_unschedule": (DEED, MARKETER),
    "campaign_reopen": (DEED, MARKETER),
    "campaign_pause": (DEED, MARKETER),
    "campaign_resume": (DEED, MARKETER),
    "campaign_cancel": (DEED, MARKETER),
    "campaign_pace": (DEED, MARKETER),
    "campaign_send_rest": (DEED, MARKETER),
    "campaign_retry": (DEED, MARKETER),
    "campaign_count_as_delivered": (DEED, MARKETER),
    "campaign_duplicate": (DEED, MARKETER),
    "campaign_archive": (DEED, MARKETER),
    "campaign_unarchive": (DEED, MARKETER),
    "campaign_delete": (DEED, MARKETER),
    "campaign_report": (PAGE, VIEWER),
    "campaign_recipients": (PAGE, VIEWER),
}
# Their GET leads on to a page that asks.
ASKS_FIRST = {"unsubscribe_one_click"}
# One's own workspaces alone can be switched to; figures want a token.
MAY_BE_MISSING = {"workspace_switch", "metrics"}
# Of a person's own session: without a sign-in under way, allauth leads to the sign-in page.
LEADS_TO_SIGN_IN = {"account_logout", "account_email", "account_confirm_login_code"}
# Whose addresses say nothing of the workspace: the token or the person's own session does.
NOT_OF_THE_WORKSPACE = {
    "invitation",
    "invitation_accept",
    "unsubscribe",
    "unsubscribe_one_click",
    "preferences",
    "address",
    "confirm",
    "opened",
    "clicked",
    "well_known",
    "hook",
} | {name for name in TABLE if name.startswith("inbox")}
# A file, and the page of whoever has no session: its own link is what it checks.
NEEDS_NO_TOKEN = {
    "import_refused", "unsubscribe", "preferences", "address", "confirm", "opened", "clicked", "well_known", "hook",
}  # fmt: skip


def names_of_the_project() -> set[str]:
    def walk(patterns: list[URLPattern | URLResolver]):
        for each in patterns:
            yield from walk(each.url_patterns) if isinstance(each, URLResolver) else [each.name]

    return set(walk(get_resolver().url_patterns))


@dataclass
class World:
    """One of everything in Acme, its people by their roles, and how each page's address names it."""

    people: dict[Role, User]
    stranger: User
    arguments: dict[str, list]
    queries: dict[str, str]

    def url(self, name: str) -> str:
        room = next(
            (key for key in sorted(self.arguments, key=len, reverse=True) if self.holds(key, name)), ""
        )
        return reverse(name, args=self.arguments.get(room, [])) + self.queries.get(name, "")

    def everybody(self) -> dict[Role | None, Client]:
        """A visitor, and each of Acme's people signed in."""
        return {None: Client()} | {role: signed_in(person) for role, person in self.people.items()}

    @staticmethod
    def holds(key: str, name: str) -> bool:
        return name == key or (key.endswith("*") and name.startswith(key[:-1]))


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        redis_client().flushdb()
        atomics = TestCase._enter_atomics()
        yield a_world(SECRET)
        TestCase._rollback_atomics(atomics)


def a_world(secret: str) -> World:
    """secret: stands in the name of everything."""
    workspace = a_workspace(f"{secret} Ltd")
    people = {
        role: a_person(f"{role}@acme.example", name=role.title(), workspace=workspace, role=role)
        for role in Role
    }
    alice, bob = people[Role.OWNER], people[Role.MARKETER]
    news = a_list(workspace, f"{secret} news")
    contact = a_contact(workspace, f"{secret}@example.com".lower(), first_name=secret, subscribed_to=[news])
    segment = a_segment(workspace, f"{secret} segment")
    tag = Tag.objects.create(workspace=workspace, name=f"{secret} tag")
    Contact.objects.filter(pk=contact.pk).update(tag_ids=[tag.pk])
    account = an_account(workspace, name=f"{secret} post", is_default=True)
    mailbox = a_mailbox(workspace, f"{secret} bounces")
    spf = Finding("spf", "SPF", f"{secret}.net", wanted=f"v=spf1 {secret}", found=[secret, f"{secret} 2"])
    spf.mark("wrong", f"It does not allow {secret}.")
    lists = Finding("blocklist", "DBL", f"{secret}.net", state="unknown", said=[secret])
    domain = a_domain(workspace, f"{secret}.net", findings=[spf], hosts=[lists])
    left_out = a_segment(workspace, f"{secret} left out")
    tells = an_account(workspace, name=f"{secret} service", provider="amazon_ses")
    signs = an_account(workspace, name=f"{secret} other service", provider="mailgun")
    an_account(workspace, name=f"{secret} spare", stopped_reason="Set aside by Ada.")
    campaign = a_campaign(
        workspace,
        f"{secret} draft",
        lists=[news],
        segments=[segment],
        excluded_segments=[left_out],
        account=account,
    )
    sent = a_campaign(workspace, f"{secret} sent", lists=[news], account=account)
    lifecycle.send_now(sent, by=bob)
    lifecycle.launch(sent.pk)
    suppression = Suppression.objects.create(
        workspace=workspace, email=f"{secret}-gone@example.com".lower(), reason="manual"
    )
    of_list = ListSuppression.objects.create(
        workspace=workspace, list=news, email=f"{secret}-of-list@example.com".lower(), reason="manual"
    )
    run = Import.objects.create(
        workspace=workspace,
        file="imports/gone.csv",
        file_name=f"{secret}.csv",
        encoding="utf-8",
        delimiter=",",
        state=ImportState.DONE,
        row_count=1,
        started_at=timezone.now(),
        finished_at=timezone.now(),
    )
    export = Export.objects.create(
        workspace=workspace, name=f"{secret} export", file="exports/gone.csv", state="done"
    )
    bulk = BulkRun.objects.create(workspace=workspace, action="add_tags", name=f"{secret} tag", state="done")
    invitation = Invitation.objects.create(workspace=workspace, email="new@acme.example", role=VIEWER)
    for person in people.values():  # as signing up does
        EmailAddress.objects.create(user=person, email=person.email, primary=True)
    record(alice, "tested", secret, workspace=workspace)
    member = Membership.objects.get(user=a_person("leaver@acme.example", workspace=workspace))
    message = InboxMessage.objects.create(
        envelope_from="a@example.com",
        envelope_to="b@example.com",
        subject="Hello",
        source=b"Subject: Hello\r\n\r\nHi\r\n",
    )
    token = unsubscribe_token(Mailing.objects.get().pk, 1)
    List.objects.filter(pk=news.pk).update(opt_in="double")
    pending = a_contact(workspace, f"{secret}-pending@example.com".lower())
    confirmations.ask(pending, lists=[List.objects.get(pk=news.pk)], source="Form")
    asking.ask(news.pk)
    asks = Mailing.objects.get(confirms=news)
    Mailing.objects.filter(pk=asks.pk).update(state="paused", state_reason="Too many were rejected.")
    return World(
        people,
        a_person("mallory@elsewhere.example", workspace=a_workspace("Elsewhere"), role=Role.OWNER),
        {
            "account_confirm_email": ["some-key"],
            "account_reset_password_from_key": ["1", "some-key"],
            "workspace_switch": [workspace.pk],
            "member_*": [member.pk],
            "invitation": [invitation.token],
            "invitation_accept": [invitation.token],
            "invitation_withdraw": [invitation.pk],
            "contact_unsubscribe": [contact.pk, news.pk],
            "contact": [contact.pk],
            "columns": ["contacts"],
            "contact_*": [contact.pk],
            "contact_new": [],
            "contact_value": [contact.pk, "first_name"],
            "tags": [],
            "tag_*": [tag.pk],
            "tag_new": [],
            "tag_counts": [],
            "field_*": [a_field(workspace, f"{secret} field", key="field").pk],
            "field_new": [],
            "field_counts": [],
            "list": [news.pk],
            "list_*": [news.pk],
            "contact_ask_again": [pending.pk, news.pk],
            "list_confirmation_resume": [news.pk, asks.pk],
            "list_confirmation_cancel": [news.pk, asks.pk],
            "confirm": [confirm_token(asks.pk, 1)],
            "list_new": [],
            "suppression_delete": [suppression.pk],
            "list_suppression_delete": [of_list.pk],
            "import": [run.pk],
            "import_*": [run.pk],
            "import_new": [],
            "export_*": [export.pk],
            "export_new": [],
            "export_file": [signing.dumps(export.pk, salt=SALT)],
            "bulk": [bulk.pk],
            "bulk_*": [bulk.pk],
            "bulk_runs": [],
            "bulk_new": [],
            "bulk_count": [],
            "segment": [segment.pk],
            "segment_*": [segment.pk],
            "segment_new": [],
            "segment_count": [],
            "sending_*": [account.pk],
            "sending_hook_*": [tells.pk],
            "sending_hook_key": [signs.pk],
            "hook": ["amazon_ses", tells.hook_key],
            "sending_new": [],
            "mailbox_*": [mailbox.pk],
            "mailbox_new": [],
            "domain": [domain.pk],
            "domain_*": [domain.pk],
            "domain_new": [],
            "inbox_message": [message.pk],
            "inbox_part": [message.pk, "html"],
            "opened": [f"{person_token(asks.pk, 1)}.gif"],
            "clicked": [f"{person_token(asks.pk, 1)}/{link_part(asks.pk, Target('https://example.com/'))}"],
            "unsubscribe": [token],
            "unsubscribe_one_click": [token],
            "preferences": [token],
            "address": [moving.token_of(contact, "new@example.com")],
            "campaign": [campaign.pk],
            "campaign_*": [campaign.pk],
            "campaign_new": [],
            "campaign_report": [sent.pk],
            "campaign_recipients": [sent.pk],
        },
        queries={
            "export_new": f"?list={news.pk}",
            "bulk_new": f"?action=add_tags&list={news.pk}",
            "bulk_count": f"?list={news.pk}",
            "suppression_lift": f"?list={news.pk}",
            "suppression_export": f"?list={news.pk}",
            "bounces": f"?contact={contact.pk}",
            "bounces_export": f"?contact={contact.pk}",
            "bounces_undo": f"?contact={contact.pk}",
        },
    )


def ask(client: Client, method: str, url: str):
    """The answer, with the statements it took; nothing of it stays for the next person."""
    before = transaction.savepoint()
    reset_queries()  # what others asked before would fill the log
    try:
        with CaptureQueriesContext(connection) as queries:
            answer = client.generic(method, url, b"", content_type="application/x-www-form-urlencoded")
    finally:
        transaction.savepoint_rollback(before)
    answer.statements = [query["sql"] for query in queries]
    return answer


def may(role: Role | None, lowest: str) -> bool:
    if lowest == ANYONE:
        return True
    return role is not None and (lowest == SIGNED_IN or role.may(Role(lowest)))


def is_sent_to_sign_in(answer) -> bool:
    return answer.status_code == 302 and answer["Location"].startswith(reverse("account_login"))


def test_the_table_names_every_page_and_no_other():
    assert names_of_the_project() == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_who_may(name, world):
    method, lowest = TABLE[name]
    url = world.url(name)
    for role, client in world.everybody().items():
        answer = ask(client, method, url)
        assert answer.status_code < 500, (role, answer.status_code)
        if may(role, lowest):
            assert answer.status_code not in (403, 404, 405) or name in MAY_BE_MISSING, role
            assert not is_sent_to_sign_in(answer) or name in LEADS_TO_SIGN_IN, role
        elif role is None:
            assert is_sent_to_sign_in(answer) or answer.status_code == 405
        else:
            assert answer.status_code == 403, role
    stranger = ask(signed_in(world.stranger), method, url)
    names_an_object = re.search(r"/\d+/|=\d+", url) and name not in NOT_OF_THE_WORKSPACE
    assert stranger.status_code == 404 if names_an_object else stranger.status_code < 500
    if name not in NOT_OF_THE_WORKSPACE:
        assert SECRET.lower() not in stranger.content.decode().lower()


@pytest.mark.parametrize("name", [name for name, (method, lowest) in TABLE.items() if method == PAGE])
def test_who_may_send_a_pages_form(name, world):
    _, lowest = TABLE[name]
    url = world.url(name)
    for role, client in world.everybody().items():
        answer = ask(client, "POST", url)
        assert answer.status_code < 500, role
        if not may(role, lowest):
            assert answer.status_code in (403, 405) or (role is None and is_sent_to_sign_in(answer)), role
    stranger = ask(signed_in(world.stranger), "POST", url)
    if re.search(r"/\d+/|=\d+", url) and name not in NOT_OF_THE_WORKSPACE:
        assert stranger.status_code in (404, 405)
    if name not in NOT_OF_THE_WORKSPACE:
        assert SECRET.lower() not in stranger.content.decode().lower()


@pytest.mark.parametrize("name", TABLE)
def test_a_get_changes_nothing_and_is_cheap(name, world):
    method, _ = TABLE[name]
    for client in (signed_in(world.people[Role.OWNER]), Client()):
        answer = ask(client, "GET", world.url(name))
        if method == DEED:
            assert answer.status_code == 405 or is_sent_to_sign_in(answer) or name in ASKS_FIRST
        written = [each for each in answer.statements if re.match(r"(INSERT|UPDATE|DELETE)", each)]
        assert [each for each in written if "django_session" not in each] == []
        asked = [
            each
            for each in answer.statements
            if not re.match(r"(RELEASE )?SAVEPOINT|SET LOCAL|RESET|SELECT set_config", each)
        ]
        assert len(asked) <= MOST_QUERIES, asked


@pytest.mark.parametrize("name", sorted({name for name in TABLE if TABLE[name][0] == PAGE} - NEEDS_NO_TOKEN))
def test_every_form_that_is_posted_has_its_token_and_nothing_stands_twice(name, world):
    """A part that is included with `only` sees no token, so that its form would be refused."""
    page = ask(signed_in(world.people[Role.OWNER]), "GET", world.url(name)).content.decode(errors="replace")
    forms = re.findall(r"<form\b[^>]*\bmethod=[\"']?post\b.*?</form>", page, re.DOTALL | re.IGNORECASE)
    assert [form for form in forms if not re.search(r'name="csrfmiddlewaretoken" value="\w+"', form)] == []
    assert not twice(page), "ids"
