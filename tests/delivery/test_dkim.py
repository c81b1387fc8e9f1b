"""What leaves by SMTP bears a signature that receivers verify (RFC 6376), made of the bytes that leave."""

import dkim
import pytest

from contacts.models import Contact
from delivery import accounts
from delivery.content import Content
from delivery.domains import keys
from delivery.domains.signing import Signer, signer_for
from delivery.models import DkimKey, SendingDomain
from delivery.pipeline.work import work_slice
from tests.builders import a_domain, an_account

pytestmark = pytest.mark.django_db
WORDS = Content(
    "Grüße,  {{ contact.first_name }}",
    "<p>Hi {{ contact.first_name }},  \n<b>  two  blanks\tand a tab </b></p>\n\n\n",
    "Hi {{ contact.first_name }} \n\n.\n. dots\n\n\n",
    "Bränd",
    "news@brand.net",
    reply_to="hello@brand.net",
)


@pytest.fixture
def domain(workspace):
    return a_domain(workspace)


def verify(message: bytes, domain) -> bool:
    def txt(name, timeout=5):
        key = DkimKey.objects.get(domain=domain, selector=name.decode().split(".")[0])
        assert name.decode() == f"{key.host}."
        return key.record.encode()

    return dkim.verify(message, dnsfunc=txt)


def sent(mailing, server) -> list[bytes]:
    """As the server took them, the dots that SMTP doubles taken off."""
    while work_slice(mailing.pk):
        pass
    return [message for _, message in server.messages]


def test_every_message_of_a_campaign_is_signed_and_verifies(domain, people, send_to_news, server):
    people(3)
    Contact.objects.filter(email="p2@example.com").update(first_name="Zoë ==  \t")
    messages = sent(send_to_news(WORDS), server)
    assert len(messages) == 3
    for message in messages:
        assert message.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=brand.net;")
        assert verify(message, domain)
        assert max(map(len, message.split(b"\r\n"))) <= 998


def test_the_signature_covers_what_receivers_ask_for(domain, people, send_to_news, server):
    people(1)
    (message,) = sent(send_to_news(WORDS), server)
    head = message.partition(b"\r\n bh=")[0].partition(b"h=")[2]
    names = b"".join(head.split()).rstrip(b";").split(b":")
    assert names.count(b"from") == 2  # none can be added
    asked = "to subject date message-id mime-version content-type list-unsubscribe list-unsubscribe-post list-id feedback-id"
    assert set(asked.encode().split()) <= set(names)


@pytest.mark.parametrize(
    ("this", "that"),
    [
        (b"P1", b"P2"),
        (b"List-Unsubscribe-Post: List", b"List-Unsubscribe-Post: Lost"),
        (b"From: ", b"From: thief@evil.net\r\nFrom: "),
        (b"To: ", b"To: somebody@else.net, "),
    ],
)
def test_a_message_that_was_changed_on_its_way_does_not_verify(
    domain, people, send_to_news, server, this, that
):
    people(1)
    (message,) = sent(send_to_news(WORDS), server)
    assert this in message
    assert not verify(message.replace(this, that, 1), domain)


@pytest.mark.parametrize(
    "body",
    [b"", b"\r\n\r\n", b" \r\n\t\r\n", b"no end", b"a \t b \r\n", b" a\r\n\r\nb\r\n\r\n", b"a  ", b"a\r\n "],
)
@pytest.mark.parametrize("cut", [0, 1, 30])
def test_whatever_the_body_is_and_wherever_its_pieces_end(domain, body, cut):
    key = domain.keys.get()
    message = b"From: a@brand.net\r\nSubject:  a \r\n\tb  \r\nTo: x@y.net\r\n\r\n" + body
    pieces = [message[:cut], message[cut:-1], message[-1:]]
    header = Signer(domain.name, key.selector, keys.private_key(key)).sign(pieces)
    assert verify(header + message, domain)


def test_who_signs(workspace, domain):
    smtp = an_account(workspace)
    inbox = an_account(workspace, provider="inbox", name="Inbox")
    mailgun = an_account(workspace, provider="mailgun", name="Mailgun")
    assert signer_for(smtp, "news@brand.net")
    assert signer_for(inbox, "news@brand.net")
    assert signer_for(smtp, "news@m.brand.net")  # aligned with the domain above
    assert signer_for(mailgun, "news@brand.net") is None  # an ESP signs itself
    assert signer_for(smtp, "news@other.net") is None
    assert signer_for(smtp, "news@notbrand.net") is None
    SendingDomain.objects.update(signs=False)
    assert signer_for(smtp, "news@brand.net") is None


def test_a_domain_that_signs_nothing_is_not_signed_for_by_the_one_above(workspace, domain):
    smtp = an_account(workspace)
    below = a_domain(workspace, "m.brand.net", key_signs=False)
    assert signer_for(smtp, "news@m.brand.net")  # until its own key is in place
    below.signs = False
    below.save()
    assert signer_for(smtp, "news@m.brand.net") is None


def test_a_key_that_is_not_in_dns_yet_does_not_sign(workspace):
    a_domain(workspace, "new.net", key_signs=False)
    assert signer_for(an_account(workspace), "news@new.net") is None


def test_the_key_of_another_workspace_signs_nothing(workspace, mallory):
    a_domain(mallory.workspaces.get(), "brand.net")
    assert signer_for(an_account(workspace), "news@brand.net") is None


def test_nothing_leaves_unsigned_because_the_key_cannot_be_read(
    domain, people, send_to_news, server, settings
):
    people(1)
    mailing = send_to_news(WORDS)
    settings.SECRET_KEY = "another one, forty characters long or more"
    settings.SECRET_KEY_FALLBACKS = []
    assert sent(mailing, server) == []
    mailing.refresh_from_db()
    assert "The DKIM key of brand.net was encrypted under another SECRET_KEY" in mailing.state_reason


def test_the_message_that_tests_an_account_is_signed_as_well(domain, account, alice, server):
    account.settings["test_from"] = "news@brand.net"
    account.save()
    assert accounts.test(account, by=alice) == ""
    ((_, message),) = server.messages
    assert verify(message, domain)


def test_the_private_key_is_not_readable_at_rest(domain):
    assert b"PRIVATE" not in bytes(domain.keys.get().private_key)
