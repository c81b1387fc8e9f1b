"""A believable workspace: 5 000 contacts, lists, segments, and three past campaigns with what came of them.

The same people each time (a fixed seed), in one transaction; a second call finds what is there.
"""

import random
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from allauth.account.models import EmailAddress
from django.db import connection, transaction
from django.utils import timezone

from accounts.actions import create_workspace
from accounts.models import User, Workspace
from campaigns import starters
from campaigns.models import Campaign, ContentKind, State
from contacts.models import Contact, CustomField, List, OptIn, Segment, Subscription, Suppression
from delivery.content import Content
from delivery.feedback.apply import applied_all
from delivery.feedback.facts import Fact, Kind, key_of
from delivery.models import Mailing, MailingState, SendingAccount
from delivery.pipeline import plan
from delivery.pipeline.molds import said_of
from delivery.tracking.writing import Tracked

EMAIL, PASSWORD = "demo@volley.example", "volley-demo"
NAME = "Juniper Coffee (demo)"
CONTACTS = 5_000
SEED = 20

FIRST = [
    "Amira",
    "Anna",
    "Ben",
    "Carla",
    "Chen",
    "Diego",
    "Elif",
    "Emma",
    "Felix",
    "Hana",
    "Ines",
    "Ivan",
    "Jana",
    "José",
    "Kofi",
    "Lea",
    "Liam",
    "Lucía",
    "Marta",
    "Mia",
    "Noah",
    "Nora",
    "Omar",
    "Paul",
    "Priya",
    "Rosa",
    "Sam",
    "Sofia",
    "Tom",
    "Yuki",
    "Zoë",
    "Åsa",
]
LAST = [
    "Adeyemi",
    "Becker",
    "Brown",
    "Costa",
    "Dubois",
    "Evans",
    "Fischer",
    "García",
    "Hansen",
    "Ito",
    "Jensen",
    "Kaya",
    "Kim",
    "Kowalski",
    "López",
    "Martin",
    "Meyer",
    "Müller",
    "Nguyen",
    "Novák",
    "O’Brien",
    "Okafor",
    "Patel",
    "Rossi",
    "Santos",
    "Schmidt",
    "Silva",
    "Smith",
    "Tanaka",
    "Weber",
    "Wójcik",
    "Young",
]
CITIES = [
    "Berlin",
    "Hamburg",
    "London",
    "Lyon",
    "Madrid",
    "Milan",
    "Oslo",
    "Paris",
    "Porto",
    "Prague",
    "Vienna",
    "Zürich",
]
PLANS = ("free", "free", "free", "plus", "plus", "pro")
DOMAINS = ("example.com", "example.org", "example.net", "mail.example", "post.example")

PAST = (  # (name, subject, days ago, lists)
    (
        "Spring roast",
        "{{ contact.first_name | default: 'Hello' }}, the spring roast is here",
        62,
        ("Newsletter",),
    ),
    ("Summer in the garden", "Iced, slow, and on the house", 30, ("Newsletter", "Offers")),
    ("Autumn opening hours", "We open at seven from Monday", 6, ("Newsletter",)),
)

# What a provider answers, by the recipient's number: mostly yes, sometimes no; about one in 150 leaves.
OUTCOMES = """
UPDATE delivery_delivery
   SET attempt_count = 1, settled_at = %(at)s + number * interval '4 milliseconds',
       state = CASE WHEN number %% 83 = 0 THEN 'rejected' WHEN number %% 211 = 0 THEN 'skipped' ELSE 'accepted' END,
       code = CASE WHEN number %% 166 = 0 THEN '552 5.2.2' WHEN number %% 83 = 0 THEN '550 5.1.1'
                   WHEN number %% 211 = 0 THEN 'unsubscribed' ELSE '250 2.0.0' END,
       server_said = CASE WHEN number %% 166 = 0 THEN '552 5.2.2 Mailbox full'
                          WHEN number %% 83 = 0 THEN '550 5.1.1 <' || email || '>: Recipient address rejected: User unknown'
                          WHEN number %% 211 = 0 THEN 'No longer subscribed.' ELSE '250 2.0.0 Ok: queued' END,
       unsubscribed_at = CASE WHEN number %% 149 = 0 AND number %% 83 > 0 AND number %% 211 > 0
                              THEN %(at)s + number * interval '1 minute' END
 WHERE mailing_id = %(mailing)s
"""
COUNTS = """
UPDATE delivery_mailing m
   SET accepted_count = c.accepted, rejected_count = c.rejected, skipped_count = c.skipped,
       unsubscribed_count = c.unsubscribed, finished_at = c.ended, progress_at = c.ended
  FROM (SELECT count(*) FILTER (WHERE state = 'accepted') AS accepted,
               count(*) FILTER (WHERE state = 'rejected') AS rejected,
               count(*) FILTER (WHERE state = 'skipped') AS skipped,
               count(unsubscribed_at) AS unsubscribed, max(settled_at) AS ended
          FROM delivery_delivery WHERE mailing_id = %(mailing)s) AS c
 WHERE m.id = %(mailing)s
"""
# What came back, by the recipient's number. Two in five open, every sixth of those clicks, and scanners open and click
# within seconds of it; fewer each hour. One in a hundred is gone, one receiving domain does not like us, and somebody
# complains. Whoever it came back from did nothing else.
CAME_BACK = """
SELECT d.number, did.kind, d.settled_at + seconds * interval '1 second', did.why, did.code, did.said,
       CASE WHEN did.kind = 'clicked' THEN
            'https://juniper.example/' || (ARRAY['shop', 'roasts', 'visit'])[1 + d.number %% 3] ELSE '' END
  FROM delivery_delivery d,
       LATERAL (SELECT CASE WHEN d.number %% 103 = 3 THEN 'bounced' WHEN d.number %% 71 = 5 THEN 'soft_bounced'
                            WHEN d.email LIKE '%%@mail.example' AND d.number %% 17 = 9 THEN 'blocked' END AS lost) AS way,
       LATERAL (VALUES
         ('delivered', lost IS NULL, '', '', '', 2 + d.number %% 7),
         ('bounced', lost = 'bounced', '', '5.1.1', '550 5.1.1 <' || d.email || '>: User unknown', 40),
         ('soft_bounced', lost = 'soft_bounced', '', '5.2.2', '552 5.2.2 Mailbox full', 90 + d.number %% 600),
         ('blocked', lost = 'blocked', '', '5.7.1', '550 5.7.1 Our system has detected that this message is likely spam', 3),
         ('complained', lost IS NULL AND d.number %% 1900 = 700, '', '', 'abuse', 7200),
         ('opened', lost IS NULL AND d.number %% 5 < 2, '', '', '',
          180 + d.number * 7919 %% 97 * (d.number * 7919 %% 97) * 18),
         ('opened', lost IS NULL AND d.number %% 15 = 0, '', '', '', 90000 + d.number * 31 %% 80000),
         ('clicked', lost IS NULL AND d.number %% 30 IN (0, 5, 11, 16, 21), '', '', '',
          240 + d.number * 7919 %% 97 * (d.number * 7919 %% 97) * 18),
         ('opened', lost IS NULL AND d.number %% 9 = 4, 'Apple Mail Privacy Protection', '', '', 2 + d.number %% 5),
         ('clicked', lost IS NULL AND d.number %% 61 = 7, 'Security scanner', '', '', 4 + d.number %% 9)
       ) AS did(kind, does, why, code, said, seconds)
 WHERE d.mailing_id = %(mailing)s AND d.state = 'accepted' AND d.contact_id IS NOT NULL AND does
   AND d.settled_at + seconds * interval '1 second' < now()
"""
# Else what comes back is planned as for empty tables, and takes twenty times as long.
COUNTED_ANEW = (
    "ANALYZE contacts_contact, contacts_suppression, delivery_mailing, delivery_delivery, delivery_event"
)
LEAVE = """
UPDATE contacts_subscription s
   SET status = 'unsubscribed', unsubscribed_at = d.unsubscribed_at, unsubscribe_source = 'Link in “' || %(name)s || '”'
  FROM delivery_delivery d
 WHERE d.mailing_id = %(mailing)s AND d.contact_id = s.contact_id AND d.unsubscribed_at IS NOT NULL
   AND s.list_id = ANY(%(lists)s) AND s.status = 'subscribed'
"""


@transaction.atomic
def fill() -> Workspace:
    """Make the workspace, or give the one that an earlier call made."""
    user = User.objects.filter(email=EMAIL).first() or User.objects.create_user(
        EMAIL, PASSWORD, name="Dana Demo"
    )
    there = Workspace.objects.filter(name=NAME, memberships__user=user).first()
    if there:
        return there
    EmailAddress.objects.get_or_create(user=user, email=EMAIL, primary=True)  # as signing up does
    workspace = create_workspace(user, name=NAME, time_zone="Europe/Berlin")
    workspace.postal_address = "Juniper Coffee, Gartenstraße 7, 10115 Berlin, Germany"
    workspace.save(update_fields=["postal_address"])
    lists = _lists(workspace)
    _contacts(workspace, lists, random.Random(SEED))  # noqa: S311  (a demo, no secret)
    _segments(workspace, lists)
    _campaigns(workspace, lists, user)
    return workspace


def _lists(workspace: Workspace) -> dict[str, List]:
    about = {
        "Newsletter": "Once a month, what is new.",
        "Offers": "Now and then, when something is cheaper.",
        "Roastery visitors": "Signed up at the counter.",
    }
    for key, label, kind in (
        ("city", "City", "text"),
        ("plan", "Plan", "text"),
        ("points", "Points", "number"),
        ("birthday", "Birthday", "date"),
    ):
        CustomField.objects.create(workspace=workspace, key=key, label=label, type=kind)
    return {
        name: List.objects.create(
            workspace=workspace,
            name=name,
            description=text,
            opt_in=OptIn.DOUBLE if name == "Newsletter" else OptIn.SINGLE,
        )
        for name, text in about.items()
    }


def _contacts(workspace: Workspace, lists: dict[str, List], dice: random.Random) -> None:
    now = timezone.now()
    contacts = Contact.objects.bulk_create(
        [_contact(workspace, number, now, dice) for number in range(CONTACTS)], batch_size=1000
    )
    subscriptions = []
    for contact in contacts:
        for name, chance in (("Newsletter", 0.86), ("Offers", 0.4), ("Roastery visitors", 0.12)):
            if dice.random() < chance:
                subscriptions.append(_subscription(contact, lists[name], dice))
    Subscription.objects.bulk_create(subscriptions, batch_size=2000)
    Suppression.objects.bulk_create(
        Suppression(workspace=workspace, email=contact.email, reason=reason, note="")
        for contact, reason in zip(contacts[::131], ("unsubscribed", "manual") * 20, strict=False)
    )


def _contact(workspace: Workspace, number: int, now: datetime, dice: random.Random) -> Contact:
    first, last = dice.choice(FIRST), dice.choice(LAST)
    joined = now - timedelta(minutes=dice.randint(60 * 24 * 63, 60 * 24 * 700))
    plain = "".join(
        letter
        for letter in f"{first}.{last}".lower()
        if letter.isascii() and (letter.isalpha() or letter == ".")
    )
    attributes = {
        "city": dice.choice(CITIES),
        "plan": dice.choice(PLANS),
        "points": dice.randint(0, 900),
        "birthday": f"{dice.randint(1950, 2006)}-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}",
    }
    return Contact(
        workspace=workspace,
        email=f"{plain}.{number}@{dice.choice(DOMAINS)}",
        first_name=first if dice.random() > 0.06 else "",
        last_name=last,
        attributes=attributes,
        created_at=joined,
        updated_at=joined,
    )


def _subscription(contact: Contact, to: List, dice: random.Random) -> Subscription:
    roll = dice.random()
    gone = roll < 0.03
    return Subscription(
        workspace_id=contact.workspace_id,
        contact=contact,
        list=to,
        status="unsubscribed" if gone else "pending" if roll < 0.05 else "subscribed",
        consent_source="Form at the counter"
        if to.name.startswith("Roastery")
        else "Sign-up form on the website",
        consent_at=contact.created_at,
        confirmation_asked_at=contact.created_at,
        confirmation_count=1,
        created_at=contact.created_at,
        unsubscribed_at=contact.created_at + timedelta(days=40) if gone else None,
        unsubscribe_source="Link in a campaign" if gone else "",
    )


def _segments(workspace: Workspace, lists: dict[str, List]) -> None:
    rules = {
        "Berlin, on the newsletter": [
            {"subject": "attribute:city", "operator": "is", "value": "Berlin"},
            {"subject": "list", "operator": "subscribed", "value": lists["Newsletter"].pk},
        ],
        "Plus and pro": [{"subject": "attribute:plan", "operator": "is_not", "value": "free"}],
        "More than 500 points": [{"subject": "attribute:points", "operator": ">", "value": 500}],
        "Birthday in the next 7 days": [
            {"subject": "attribute:birthday", "operator": "anniversary_next", "value": 7}
        ],
        "Clicked in the last 90 days": [
            {"subject": "clicked", "operator": "did", "value": {"mailing": None, "times": 1, "days": 90}},
            {"subject": "mailable", "operator": "yes", "value": None},
        ],
        "Sent to, but never opened": [
            {"subject": "opened", "operator": "ignored", "value": {"mailing": None, "days": None}}
        ],
    }
    for name, each in rules.items():
        Segment.objects.create(workspace=workspace, name=name, rules={"join": "and", "rules": each})


def _campaigns(workspace: Workspace, lists: dict[str, List], user: User) -> None:
    account = SendingAccount.objects.filter(workspace=workspace, is_default=True).first()
    if account is None:  # the local inbox is switched off
        account = SendingAccount.objects.create(
            workspace=workspace, name="Local inbox", provider="inbox", is_default=True
        )
    for name, subject, days, chosen in PAST:
        at = timezone.now() - timedelta(days=days)
        _past_campaign(workspace, account, user, name, subject, at, [lists[each] for each in chosen])
    draft = _campaign(workspace, account, user, "Winter blend", "The winter blend is back", timezone.now())
    draft.lists.add(lists["Newsletter"])


def _campaign(
    workspace: Workspace, account: SendingAccount, user: User, name: str, subject: str, at: datetime
) -> Campaign:
    return Campaign.objects.create(
        workspace=workspace,
        name=name,
        content_kind=ContentKind.MJML,
        content=starters.source("newsletter"),
        subject=subject,
        preheader="What is new at Juniper Coffee",
        from_name="Juniper Coffee",
        from_email="hello@juniper.example",
        account=account,
        created_by=user,
        created_at=at - timedelta(days=2),
        updated_at=at,
    )


def _past_campaign(
    workspace: Workspace,
    account: SendingAccount,
    user: User,
    name: str,
    subject: str,
    at: datetime,
    to: list[List],
) -> None:
    from campaigns.content import compile_content

    campaign = _campaign(workspace, account, user, name, subject, at)
    campaign.lists.set(to)
    content: Content = compile_content(campaign)
    mailing = Mailing.objects.create(
        workspace=workspace,
        name=name,
        account=account,
        content=content.as_dict(),
        frame=said_of(workspace) | {"tracking": asdict(Tracked(opens=True, clicks=True))},
        list_ids=[each.pk for each in to],
        state=MailingState.FINISHED,
        created_at=at,
    )
    people = Contact.objects.sendable().filter(
        pk__in=Subscription.objects.filter(list__in=to, status="subscribed", created_at__lt=at).values(
            "contact_id"
        )
    )
    plan.freeze(mailing, people)
    values: dict[str, Any] = {"mailing": mailing.pk, "at": at, "name": name, "lists": mailing.list_ids}
    values["workspace"] = workspace.pk
    with connection.cursor() as cursor:
        cursor.execute("UPDATE delivery_batch SET state = 'done' WHERE mailing_id = %(mailing)s", values)
        for statement in (OUTCOMES, COUNTS, LEAVE):
            cursor.execute(statement, values)
        cursor.execute(COUNTED_ANEW)
    applied_all(_came_back(mailing))
    Campaign.objects.filter(pk=campaign.pk).update(state=State.SENT, mailing=mailing)


def _came_back(mailing: Mailing) -> list[Fact]:
    with connection.cursor() as cursor:
        cursor.execute(CAME_BACK, {"mailing": mailing.pk})
        return [
            Fact(
                mailing.workspace_id,
                Kind(kind),
                at,
                key_of(at, mailing.pk, number, kind),
                mailing_id=mailing.pk,
                number=number,
                is_machine=bool(why),
                why_machine=why,
                url=url,
                code=code,
                said=said,
            )
            for number, kind, at, why, code, said, url in cursor.fetchall()
        ]
