"""A workspace ready to send: a list of people, an account at a scripted SMTP server, and what to say."""

import pytest

from contacts.models import Contact, List
from delivery.actions import launch
from delivery.content import Content
from delivery.models import SendingAccount
from delivery.pipeline import work

HELLO = Content(
    "Hi {{ contact.first_name }}", "<p>Hi {{ contact.first_name }}</p>", "Hi", "Acme", "news@acme.example"
)


@pytest.fixture
def news(workspace):
    return List.objects.create(workspace=workspace, name="News")


@pytest.fixture
def account(workspace, server):
    return SendingAccount.objects.create(
        workspace=workspace,
        name="Test server",
        provider="smtp",
        settings={"host": "127.0.0.1", "port": server.port, "security": "none", "user": ""},
        lanes=3,
    )


@pytest.fixture
def people(workspace, news):
    """people(5) subscribes p1@example.com … p5@example.com to News."""

    def subscribe(count: int) -> list[Contact]:
        contacts = Contact.objects.bulk_create(
            Contact(workspace=workspace, email=f"p{n}@example.com", first_name=f"P{n}")
            for n in range(1, count + 1)
        )
        for contact in contacts:
            contact.subscriptions.create(workspace=workspace, list=news, status="subscribed")
        return contacts

    return subscribe


@pytest.fixture
def send_to_news(workspace, account, news):
    def send(content: Content = HELLO, **options):
        recipients = Contact.objects.filter(subscriptions__list=news, subscriptions__status="subscribed")
        return launch(
            workspace=workspace,
            name="Spring",
            account=account,
            content=content,
            recipients=recipients,
            list_ids=[news.pk],
            **options,
        )

    return send


@pytest.fixture
def one_batch_a_slice(monkeypatch):
    """A worker gives the mailing back after each batch, so that something can be done in between."""
    monkeypatch.setattr(work._Slice, "_fill_up", lambda self, shared: shared.close())
