"""Builders with sensible defaults: a_contact(workspace, subscribed_to=[news]) and so on."""

from functools import cache


def an_account(workspace, *, provider="smtp", name="Post office", secrets=None, settings=None, **fields):
    """A sending account; an SMTP one at a port where nobody listens unless `settings` says otherwise."""
    from delivery.models import SendingAccount
    from delivery.secrets import seal

    if settings is None and provider == "smtp":
        settings = {"host": "127.0.0.1", "port": 9, "security": "none", "user": ""}
    return SendingAccount.objects.create(
        workspace=workspace,
        provider=provider,
        name=name,
        settings=settings or {},
        secrets=seal(secrets or {}),
        **fields,
    )


def a_domain(workspace, name="brand.net", *, findings=(), hosts=(), key_signs=True, **fields):
    """A sending domain with a DKIM key, checked just now with these findings."""
    from django.utils import timezone

    from delivery.models import DkimKey, SendingDomain

    now = timezone.now()
    checks = {"records": [each.as_dict() for each in findings], "hosts": [each.as_dict() for each in hosts]}
    made = SendingDomain.objects.create(
        workspace=workspace, name=name, **{"checks": checks, "checked_at": now, **fields}
    )
    key = _key()
    DkimKey.objects.create(
        domain=made,
        selector="volley",
        private_key=key.private_key,
        public_key=key.public_key,
        signs_from=now if key_signs else None,
    )
    return made


@cache
def _key():
    """One key for all: making it takes a while."""
    from delivery.domains import keys
    from delivery.models import SendingDomain

    return keys.make(SendingDomain(name="brand.net"))


def a_list(workspace, name="News", **fields):
    from contacts.models import List

    return List.objects.create(workspace=workspace, name=name, **fields)


def a_field(workspace, label="City", *, key=None, type="text", **more):  # noqa: A002
    from contacts.models import CustomField

    return CustomField.objects.create(
        workspace=workspace, key=key or label.lower(), label=label, type=type, **more
    )


def a_tag(workspace, name="VIP", *contacts):
    """A tag that these contacts have."""
    from contacts.models import Tag

    made = Tag.objects.create(workspace=workspace, name=name)
    for contact in contacts:
        contact.tag_ids = sorted([*contact.tag_ids, made.pk])
        contact.save(update_fields=["tag_ids"])
    return made


def a_contact(
    workspace, email="anna@example.com", *, subscribed_to=(), first_name="", last_name="", **attributes
):
    """A contact with these attributes, subscribed to the lists with a record of consent."""
    from django.utils import timezone

    from contacts.models import Contact, Subscription

    contact = Contact.objects.create(
        workspace=workspace, email=email, first_name=first_name, last_name=last_name, attributes=attributes
    )
    Subscription.objects.bulk_create(
        Subscription(
            workspace=workspace,
            contact=contact,
            list=each,
            status="subscribed",
            consent_source="Form on the web site",
            consent_at=timezone.now(),
        )
        for each in subscribed_to
    )
    return contact


def a_segment(workspace, name="Gmail", *rules, join="and", **fields):
    from contacts.models import Segment

    rules = rules or ({"subject": "email", "operator": "domain", "value": "gmail.com"},)
    return Segment.objects.create(
        workspace=workspace, name=name, rules={"join": join, "rules": list(rules)}, **fields
    )


CAMPAIGN_CONTENT = """<mjml>
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text>Hello {{ contact.first_name | default: "there" }}, the spring roast is here.</mj-text>
        <mj-button href="https://acme.example/spring">See it</mj-button>
        <mj-text>{{ workspace.postal_address }} · <a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"""


def a_campaign(
    workspace,
    name="Spring roast",
    *,
    lists=(),
    segments=(),
    excluded_lists=(),
    excluded_segments=(),
    **fields,
):
    """A campaign with a subject, a sender and content that compiles; a draft unless `state` says otherwise."""
    from campaigns.models import Campaign

    written = {
        "subject": "The spring roast is here",
        "preheader": "Fresh from the drum",
        "from_name": "Acme",
        "from_email": "news@acme.example",
        "content": CAMPAIGN_CONTENT,
    }
    campaign = Campaign.objects.create(workspace=workspace, name=name, **{**written, **fields})
    campaign.lists.set(lists)
    campaign.segments.set(segments)
    campaign.excluded_lists.set(excluded_lists)
    campaign.excluded_segments.set(excluded_segments)
    return campaign


def a_mailbox(workspace, name="Bounces", *, password="secret", **fields):
    """A mailbox that bounces arrive in; at a port where nobody listens unless `port` says otherwise."""
    from delivery.models import Mailbox
    from delivery.secrets import seal

    given = {"host": "127.0.0.1", "port": 9, "security": "none", "user": "bounces@acme.example", **fields}
    return Mailbox.objects.create(
        workspace=workspace, name=name, secrets=seal({"password": password}), **given
    )
