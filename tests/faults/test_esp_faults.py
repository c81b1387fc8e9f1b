"""Workers killed in the middle of calls to an ESP: nobody gets it twice, and nobody is unaccounted for."""

import os
import signal

import pytest

from tests.at_once import until
from tests.fake_esp.server import FakeEsp

RECIPIENTS = 16_000
KILLS = 2
END_SECONDS = 120

LAUNCH = """
from django.db import transaction
from bench.world import a_newsletter, workspace_with_contacts
from contacts.models import Contact
from delivery.actions import launch
from delivery.models import SendingAccount
from delivery.secrets import seal
workspace = workspace_with_contacts({recipients})
account = SendingAccount.objects.create(
    workspace=workspace, name="Fake", provider="{name}", settings={{"api_url": "{url}"}},
    secrets=seal({{"api_key": "a-key"}}), lanes=2)
with transaction.atomic():
    mailing = launch(workspace=workspace, name="Faults", account=account, content=a_newsletter(4),
                     recipients=Contact.objects.filter(workspace=workspace), list_ids=[])
print(json.dumps({{"mailing": mailing.pk}}))
"""
STATE = """
from delivery.models import Mailing
mailing = Mailing.objects.get(pk={mailing})
print(json.dumps({{"state": mailing.state, "accepted": mailing.accepted_count}}))
"""
LEDGER = """
from delivery.mailings import recount
from delivery.models import Call, Delivery
accepted = list(Delivery.objects.filter(mailing={mailing}, state="accepted").values_list("email", flat=True))
print(json.dumps({{"states": recount({mailing}), "accepted": accepted, "calls": Call.objects.count()}}))
"""

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("name", ["mailgun", "brevo"])
def test_kill_9_in_mid_call_leaves_nobody_unaccounted_for(volley, name):
    with FakeEsp(delay=1.0) as fake:
        mailing = volley.python(LAUNCH.format(recipients=RECIPIENTS, name=name, url=fake.url(name)))[
            "mailing"
        ]
        for _ in range(KILLS):
            kill_in_mid_call(volley, fake)
        wait_for_end(volley, mailing)
        ledger = volley.python(LEDGER.format(mailing=mailing))
        got = dict(fake.counts)
    states = ledger["states"]
    assert set(got.values()) == {1}
    assert sum(states.values()) == RECIPIENTS
    assert set(states) <= {"accepted", "in_doubt"}
    assert set(ledger["accepted"]) <= set(got), "accepted means that the ESP has it"
    assert ledger["calls"] == 0
    if name == "brevo":  # which knows a repeated call
        assert states == {"accepted": RECIPIENTS}
    else:
        assert states["in_doubt"] > 0


def kill_in_mid_call(volley, fake) -> None:
    """Each sender dies while the ESP has its call and has not answered yet."""
    before = fake.call_count
    until(lambda: fake.call_count > before)
    for pid in volley.sender_pids():
        os.kill(pid, signal.SIGKILL)


def wait_for_end(volley, mailing) -> None:
    state = STATE.format(mailing=mailing)
    volley.until(state, lambda now: now["state"] != "sending", what="ended", seconds=END_SECONDS)
