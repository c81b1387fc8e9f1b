"""Every page as it looks with believable data, and as it behaves for those who see it."""

import pytest
from playwright.sync_api import expect

from campaigns.demo import EMAIL, PASSWORD
from tests.e2e.looks import assert_all_is_well, look
from tests.test_every_page import PAGE, TABLE

pytestmark = pytest.mark.e2e
# No pages of their own: parts, files and frames, and what only a message in the inbox leads to.
NO_PAGE = {
    "healthz",
    "metrics",
    "import_refused",
    "export_file",
    "list_confirmation_preview",
    "bulk_count",
    "contact_value",
    "contact_tag_suggestions",
    "contact_timeline",
    "field_counts",
    "tag_counts",
    "campaign_preview",
    "campaign_preview_contacts",
    "inbox_part",
    "campaign",  # leads on to the step or the report
    "account_set_password",  # for accounts without a password, of which there are none
    "account_confirm_login_code",
    "account_reauthenticate",
    "invitation_accept",
    "opened",  # a picture
    "clicked",  # leads on to elsewhere
    "well_known",
    "hook",  # a provider's
}
BY_MAIN_JOB = {  # tests/e2e/test_main_job.py walks these, as its user meets them
    "account_login": "sign-in",
    "account_signup": "sign-up",
    "campaign_audience": "editor-audience",
    "campaign_content": "editor-content",
    "campaign_sender": "editor-sender",
    "campaign_schedule": "editor-schedule",
    "campaign_review": "editor-review",
    "import_map": "import-columns",
    "import": "import-result",
    "import_new": "import-upload",
    "inbox": "inbox",
    "inbox_message": "inbox-message",
    "unsubscribe": "unsubscribe",
    "workspace_settings": "settings",
}
# Demo data, and beside it what a working day has: a campaign in the air, one in trouble, a segment of groups.
PREPARE = """
import time
from campaigns import demo
from campaigns.models import Campaign
from contacts import chosen
from contacts.actions import bulk
from contacts.actions.bulk import Plan, Whom
from contacts.jobs import run_bulk
from contacts.models import BulkRun, Contact, CustomField, Import, List, ListSuppression, Segment, Subscription, Tag
from contacts.models import Suppression
from contacts.queries.contacts import Finder
from django.utils import timezone
from accounts.models import Invitation, Membership, User
from datetime import timedelta
from delivery.confirming import asking
from delivery.domains import keys
from delivery.domains.findings import Finding
from delivery.links import confirm_token, unsubscribe_token
from delivery.models import Batch, Delivery, Mailbox, Mailing, SendingAccount, SendingDomain, SuppressionFetch
from delivery.preferences import moving
workspace = demo.fill()
user = User.objects.get(email=demo.EMAIL)
first, second, third = Campaign.objects.filter(workspace=workspace, mailing__isnull=False).order_by("pk")
away = SendingAccount.objects.create(
    workspace=workspace, name="Office server", provider="smtp", lanes=2,
    settings={"host": "127.0.0.1", "port": 9, "security": "none", "user": ""},
    test_said="127.0.0.1:9 refused the connection: nothing listens there.", tested_at=workspace.created_at)
for campaign, state, reason in (
    (first, "sending", ""), (second, "paused", "The sending account “Office server” was refused: 535 5.7.8 Bad password")):
    Campaign.objects.filter(pk=campaign.pk).update(state=state, state_reason=reason)
    mailing = campaign.mailing
    Mailing.objects.filter(pk=mailing.pk).update(
        state=state, state_reason=reason, finished_at=None, accepted_count=mailing.accepted_count - 1200)
Delivery.objects.filter(mailing=first.mailing, number__gt=first.mailing.total_count - 1200).update(state="pending")
Batch.objects.filter(mailing=first.mailing, first_number__gt=first.mailing.total_count - 1200).update(
    state="ready", due_at=first.mailing.created_at + timedelta(days=365))
from delivery.hooks.setup import ASKING_TOKEN, ASKING_TOPIC, fresh
from delivery.models import Stray
from delivery.secrets import seal
import uuid
asking_topic = {ASKING_TOPIC: "arn:aws:sns:eu-central-1:123456789012:what-became-of-our-newsletters", ASKING_TOKEN: "x"}
telling = {
    provider: SendingAccount.objects.create(
        workspace=workspace, name=name, provider=provider, hook=hook, event_at=timezone.now(), refused_hook_count=12,
        refused_hook_at=timezone.now())
    for provider, name, hook in (
        ("amazon_ses", "Amazon in Frankfurt", seal(asking_topic)), ("mailgun", "Mailgun", b""),
        ("sparkpost", "SparkPost", fresh("sparkpost")))}
Stray.objects.create(workspace=workspace, account=telling["mailgun"], kind="bounced", at=timezone.now(), key=uuid.uuid4(),
    email="somebody@example.com", said="550 5.1.1 The email account that you tried to reach does not exist")
SendingAccount.objects.filter(pk=telling["amazon_ses"].pk).update(
    tested_at=timezone.now(), quota_at=timezone.now(),
    quota={"per_second": 1, "per_day": 200, "room": 140, "is_sandbox": True})
fetched = {"workspace": workspace, "created_by": user, "lists_left": ["bounces"], "done_count": 48213, "new_count": 1210}
SuppressionFetch.objects.create(
    account=telling["mailgun"], state="done", left_out_count=37, finished_at=timezone.now(), **fetched)
SuppressionFetch.objects.create(
    account=telling["sparkpost"], state="failed", error="SparkPost: 403 Forbidden.", finished_at=timezone.now(), **fetched)
SuppressionFetch.objects.create(
    account=telling["amazon_ses"], state="queued", try_count=1, error="Amazon SES: 429 Maximum sending rate exceeded.",
    progress_at=timezone.now() + timedelta(days=1), **fetched)
records = [
    Finding("spf", "SPF", "juniper-roasters.net", wanted="v=spf1 include:_spf.example.net a:smtp.juniper-roasters.net ~all",
            found=["v=spf1 include:_spf.example.net ~all"], state="wrong", ttl=3600,
            said=["It does not allow a:smtp.juniper-roasters.net. Replace it by this one."], required=True),
    Finding("dkim", "DKIM", "volley._domainkey.juniper-roasters.net",
            wanted="v=DKIM1; k=rsa; p=" + "MIIBIjANBgkqhkiG9w0B" * 19, found=["v=DKIM1; k=rsa"],
            said=["The key is in place."], required=True),
    Finding("dmarc", "DMARC", "_dmarc.juniper-roasters.net", wanted="v=DMARC1; p=none", state="wrong",
            said=["There is no DMARC record."], required=True),
    Finding("tracking", "Tracking domain", "t.juniper-roasters.net", "CNAME", "volley.juniper-roasters.net", state="unknown",
            said=["It could not be read: no name server answered in time."]),
]
hosts = [Finding("ptr", "Reverse name", "smtp.juniper-roasters.net", "PTR", said=["Each address has a name."])]
domain = SendingDomain.objects.create(
    workspace=workspace, name="juniper-roasters.net", checked_at=timezone.now(),
    checks={"records": [each.as_dict() for each in records], "hosts": [each.as_dict() for each in hosts]})
keys.make(domain).save()
SendingAccount.objects.create(
    workspace=workspace, name="Mailgun for receipts", provider="mailgun", settings={"sender_domain": "juniper-roasters.net"})
draft = Campaign.objects.get(workspace=workspace, state="draft")
news = List.objects.get(workspace=workspace, name="Newsletter")
Subscription.objects.filter(pk=Subscription.objects.filter(list=news, status="pending").first().pk).update(
    confirmation_asked_at=None, confirmation_count=0)
while not Mailing.objects.filter(confirms=news).exists():  # a list that is being counted just then is passed by
    asking.ask(news.pk)
    time.sleep(0.1)
asks = Mailing.objects.get(confirms=news)
run = Import.objects.create(
    workspace=workspace, created_by=user, file="imports/gone.csv", file_name="Spring fair.csv", encoding="utf-8-sig",
    delimiter=",", state="done", task="import", row_count=1210, created_count=1200, updated_count=9,
    subscribed_count=1207, started_at=timezone.now(), finished_at=timezone.now())
token = Invitation.objects.create(workspace=workspace, email="max@juniper.example", role="marketer", invited_by=user).token
whom = Whom(chosen.of_finder(Finder()), "All contacts")
tagged = bulk.ask(workspace, Plan("add_tags", "Tag with “customer”", {}, new_tags=("customer",)), whom, by=user)
run_bulk(bulk_id=tagged.pk)
running = BulkRun.objects.create(
    workspace=workspace, action="add_to_list", name="Add to “News”", whom="All contacts", state="running",
    total_count=48213, done_count=20000, started_at=timezone.now() - timedelta(seconds=1), created_by=user,
    progress_at=timezone.now() + timedelta(days=1))
print(json.dumps({
    "bulk": tagged.pk, "bulk_running": running.pk,
    "contact": Contact.objects.filter(workspace=workspace).first().pk,
    "other": Contact.objects.filter(workspace=workspace).last().pk,
    "tag": Tag.objects.create(workspace=workspace, name="Met at the fair").pk,
    "list": news.pk,
    "segment": Segment.objects.filter(workspace=workspace).first().pk,
    "field": CustomField.objects.filter(workspace=workspace).first().pk,
    "of_list": ListSuppression.objects.create(
        workspace=workspace, list=news, email="away@example.com", reason="manual", note="Bounced at the fair").pk,
    "suppression": Suppression.objects.filter(workspace=workspace).first().pk,
    "mailbox": Mailbox.objects.create(
        workspace=workspace, name="Bounces", host="127.0.0.1", port=9, security="none", user="bounces@juniper.example",
        trouble="127.0.0.1:9 refused the connection: nothing listens there.", due_at=timezone.now() + timedelta(days=1),
        bounce_count=1204, other_count=3, read_at=timezone.now()).pk,
    "sending": away.pk, "draft": draft.pk, "air": first.pk, "trouble": second.pk, "sent": third.pk, "token": token,
    "confirm": confirm_token(asks.pk, 1),
    **{provider: account.pk for provider, account in telling.items()},
    "domain": domain.pk,
    "link": unsubscribe_token(third.mailing_id, 1),
    "address": moving.token_of(Contact.objects.filter(workspace=workspace).last(), "new@example.com"),
    "import": run.pk,
}))
"""


def addresses(ids: dict) -> dict[str, str]:
    """Where each page is, by the name of its address; several looks of one page as name-look."""
    contact, people, segment = (f"/{room}/{ids[kind]}" for room, kind in ROOMS)
    return {
        "home": "/",
        "campaigns": "/campaigns/",
        "campaign_new": "/campaigns/new/",
        "campaign_report-sending": f"/campaigns/{ids['air']}/report/",
        "campaign_report-paused": f"/campaigns/{ids['trouble']}/report/",
        "campaign_report": f"/campaigns/{ids['sent']}/report/",
        "campaign_report-all": f"/campaigns/{ids['sent']}/report/?count=all",
        "campaign_recipients": f"/campaigns/{ids['sent']}/recipients/?state=rejected",
        "contacts": "/contacts/",
        "columns": "/contacts/columns/contacts/",
        "contact_new": "/contacts/new/",
        "contact": f"{contact}/",
        "contact_edit": f"{contact}/edit/",
        "contact_subscribe": f"{contact}/subscribe/",
        "contact_delete": f"{contact}/delete/",
        "contact_suppress": f"{contact}/suppress/",
        "contact_merge": f"{contact}/merge/",
        "contact_merge-two": f"{contact}/merge/?other={ids['other']}",
        "contact_erase": f"{contact}/erase/",
        "tags": "/contacts/tags/",
        "tag_new": "/contacts/tags/new/",
        "tag_edit": f"/contacts/tags/{ids['tag']}/",
        "tag_delete": f"/contacts/tags/{ids['tag']}/delete/",
        "erased": "/suppression/erased/",
        "fields": "/contacts/fields/",
        "field_new": "/contacts/fields/new/",
        "field_edit": f"/contacts/fields/{ids['field']}/",
        "field_delete": f"/contacts/fields/{ids['field']}/delete/",
        "lists": "/lists/",
        "list_new": "/lists/new/",
        "list": f"{people}/",
        "list_health": f"{people}/health/",
        "list_confirmation": f"{people}/confirmation/",
        "list_edit": f"{people}/edit/",
        "list_reasons": f"{people}/reasons/",
        "segments": "/segments/",
        "segment_new": "/segments/new/",
        "segment": f"{segment}/",
        "segment_edit": f"{segment}/edit/",
        "suppressions": "/suppression/",
        "suppression_new": "/suppression/new/",
        "suppression_lift": "/suppression/lift/?reason=manual",
        "list_suppression_delete": f"/suppression/lists/{ids['of_list']}/delete/",
        "bounces": "/bounces/",
        "bounces-nothing": "/bounces/?q=nobody",
        "bounces_undo": "/bounces/undo/?kind=bounced",
        "suppression_delete": f"/suppression/{ids['suppression']}/delete/",
        "imports": "/imports/",
        "import_undo": f"/imports/{ids['import']}/undo/",
        "exports": "/exports/",
        "export_new": "/exports/new/",
        "bulk_runs": "/contacts/bulk/",
        "bulk": f"/contacts/bulk/{ids['bulk']}/",
        "bulk-running": f"/contacts/bulk/{ids['bulk_running']}/",
        "bulk_new": "/contacts/bulk/new/?action=add_to_list&q=a",
        "bulk_new-tags": "/contacts/bulk/new/?action=add_tags",
        "bulk_new-delete": "/contacts/bulk/new/?action=delete",
        "sending": "/sending/",
        "sending_new": "/sending/new/",
        "sending_new-smtp": "/sending/new/?provider=smtp",
        "sending_new-esp": "/sending/new/?provider=mailgun",
        "sending_edit": f"/sending/{ids['sending']}/",
        "mailboxes": "/sending/mailboxes/",
        "mailbox_new": "/sending/mailboxes/new/",
        "mailbox_edit": f"/sending/mailboxes/{ids['mailbox']}/",
        "sending_edit-ses": f"/sending/{ids['amazon_ses']}/",
        "sending_edit-mailgun": f"/sending/{ids['mailgun']}/",
        "sending_edit-sparkpost": f"/sending/{ids['sparkpost']}/",
        "domains": "/sending/domains/",
        "domain_new": "/sending/domains/new/",
        "domain": f"/sending/domains/{ids['domain']}/",
        "sender_rules": "/sending/rules/",
        "people": "/settings/people/",
        "tracking": "/settings/tracking/",
        "operations": "/operations/",
        "audit": "/settings/audit/",
        "workspace_new": "/workspaces/new/",
        "account_email": "/accounts/email/",
        "account_change_password": "/accounts/password/change/",
        "account_logout": "/accounts/logout/",
    }


ROOMS = (("contacts", "contact"), ("lists", "list"), ("segments", "segment"))


def public_addresses(ids: dict) -> dict[str, str]:
    return {
        "invitation": f"/invitations/{ids['token']}/",
        "confirm": f"/confirm/{ids['confirm']}/",
        "preferences": f"/p/{ids['link']}/",
        "address": f"/address/{ids['address']}/",
        "account_reset_password": "/accounts/password/reset/",
        "account_reset_password_done": "/accounts/password/reset/done/",
        "account_reset_password_from_key": "/accounts/password/reset/key/1-gone/",
        "account_reset_password_from_key_done": "/accounts/password/reset/key/done/",
        "account_email_verification_sent": "/accounts/confirm-email/",
        "account_confirm_email": "/accounts/confirm-email/gone/",
        "account_inactive": "/accounts/inactive/",
    }


def test_every_page_is_looked_at():
    shown = {name.partition("-")[0] for name in addresses(_Any()) | public_addresses(_Any())}
    pages = {name for name, (method, _) in TABLE.items() if method == PAGE}
    assert pages - NO_PAGE - set(BY_MAIN_JOB) == shown - set(BY_MAIN_JOB)


class _Any(dict):
    def __missing__(self, key):
        return 1


def test_every_page_looks_right(page, volley):
    ids = volley.python(PREPARE)
    for name, address in public_addresses(ids).items():
        show(page, name, address)
    sign_in(page)
    for name, address in addresses(ids).items():
        show(page, name, address)
    show_dialogs(page, addresses(ids)["campaign_report-sending"])
    assert_all_is_well()


def sign_in(page):
    page.goto("/accounts/login/")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Juniper Coffee").first.wait_for()


def show(page, name, address):
    answer = page.goto(address)
    assert answer.status < 400, (name, answer.status)
    look(page, name.replace("_", "-"))


def show_dialogs(page, report):
    """What the report asks before it acts; its polling closes none of it, and takes no focus away."""
    page.goto(report)
    link = page.locator("#progress a").first
    link.focus()
    for _ in range(2):
        with page.expect_response(lambda answer: "seen=" in answer.url):
            pass  # the next poll
    expect(link).to_be_focused()
    for name in ("Pace", "Cancel"):
        page.get_by_role("button", name=name, exact=True).click()
        dialog = page.get_by_role("dialog")
        dialog.wait_for()
        with page.expect_response(lambda answer: "seen=" in answer.url):
            pass  # the next poll
        look(page, f"campaign-report-{name.lower()}")
        assert dialog.is_visible()
        page.keyboard.press("Escape")
        dialog.wait_for(state="hidden")
