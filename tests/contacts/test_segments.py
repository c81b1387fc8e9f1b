"""Rules to SQL: whatever a rule tree says, the contacts found are those of a plain reading of it."""

import calendar
import datetime
import uuid

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contacts import segments
from contacts.models import Contact, CustomField, List, Segment, SegmentMember, Subscription, Suppression, Tag
from contacts.segments.rules import RulesProblem, read
from contacts.segments.vocabulary import Vocabulary
from delivery.hygiene.standing import CAME_BACK
from delivery.models import Delivery, DeliveryState, Event, Mailing
from tests.builders import a_contact, a_field, a_list, a_segment, an_account
from tests.people import a_workspace

NOW = timezone.now()
TODAY = NOW.date()
DAY = datetime.timedelta(days=1)
DATES = [str(TODAY - days * DAY) for days in (0, 1, 6, 7, 8, 400, -1, -5)]
BIRTHS = [f"1990-{(TODAY + days * DAY):%m-%d}" for days in (0, 1, 7, 30, 200)] + ["1992-02-29"]
TEXTS = ["", "Berlin", "berlin", "Bern", "50%_", "O'Neil", "x\\y", "München", "MÜNCHEN"]
NUMBERS = [0, 1, -3, 2.5, 10, 1e14]
JUNK = [None, "", "old", [5], {"a": 1}, "2024-99", "7", 7, True, "2024-01-01T10:00"]
LINKS = ("https://shop.example/a_b", "https://shop.example/50%", "https://blog.example/")
PLANS = ["free", "plus", "pro"]
FIELDS = {"city": "text", "age": "number", "born": "date", "vip": "boolean", "plan": "choice"}


def rule(subject, operator, value=None):
    return {"subject": subject, "operator": operator, "value": value}


def all_of(*rules):
    return {"join": "and", "rules": list(rules)}


def none_of(*rules):
    return {"join": "none", "rules": list(rules)}


@pytest.fixture
def people(workspace):
    """Contacts of every kind, junk in typed fields included, with whatever segments can speak of."""
    for key, kind in FIELDS.items():
        options = PLANS if kind == "choice" else []
        CustomField.objects.create(
            workspace=workspace, key=key, label=key.title(), type=kind, options=options
        )
    lists = [a_list(workspace, "News"), a_list(workspace, "Offers")]
    tags = [Tag.objects.create(workspace=workspace, name=name) for name in ("Hot", "Cold", "Unused")]
    scalars = {
        "city": [*TEXTS, 7, None],
        "age": [*NUMBERS, *JUNK],
        "born": [*DATES, *BIRTHS, *JUNK],
        "vip": [True, False, *JUNK],
        "plan": [*PLANS, "gone", None, ""],
    }
    for number in range(60):
        attributes = {
            key: values[(number * step) % len(values)]
            for step, (key, values) in enumerate(scalars.items(), start=1)
            if (number + step) % 5
        }
        contact = Contact.objects.create(
            workspace=workspace,
            email=f"U{number}@{('example.com', 'sub.example.com', 'Example.COM')[number % 3]}",
            first_name=TEXTS[number % len(TEXTS)],
            last_name=TEXTS[number // 3 % len(TEXTS)],
            attributes=attributes,
            tag_ids=[tag.pk for bit, tag in enumerate(tags[:2]) if number >> bit & 1],
            created_at=NOW - number % 10 * DAY,
            updated_at=NOW - number % 9 * DAY,
        )
        for step, each in enumerate(lists, start=1):
            if (number + step) % 4:
                Subscription.objects.create(
                    workspace=workspace,
                    contact=contact,
                    list=each,
                    status=["subscribed", "unsubscribed", "pending"][(number + step) % 4 - 1],
                    consent_source=["Shop", "Form", ""][number % 3],
                    consent_at=[None, NOW - number % 9 * DAY][number % 2],
                    created_at=NOW - 3 * DAY,
                    unsubscribed_at=[None, NOW - number % 5 * DAY][number % 2],
                )
        if number % 7 == 0:
            reason = ["manual", "complaint"][number % 2]
            Suppression.objects.create(workspace=workspace, email=contact.email.lower(), reason=reason)
    _sent_and_read(workspace, list(Contact.objects.order_by("pk")))
    snapshot = a_segment(workspace, "Frozen", kind="snapshot", taken_at=NOW)
    SegmentMember.objects.bulk_create(
        SegmentMember(segment=snapshot, contact=contact) for contact in Contact.objects.all()[::4]
    )
    a_segment(workspace, "Adults", rule("attribute:age", ">", 5))
    return {each.pk: Known(each) for each in Contact.objects.order_by("pk")}


WATCHED = {"tracking": {"opens": True, "clicks": True, "is_nameless": False}}


def _sent_and_read(workspace, contacts):
    """Two campaigns and a test; who was sent which, opened and clicked it, and when."""
    account = an_account(workspace)
    for index, (name, is_test) in enumerate((("Spring", False), ("Summer", False), ("Try", True))):
        mailing = Mailing.objects.create(
            workspace=workspace, name=name, account=account, content={}, is_test=is_test, frame=WATCHED
        )
        for number, contact in enumerate(contacts):
            if (number + index) % 3 == 0:
                continue
            Delivery.objects.create(
                mailing=mailing,
                number=number + 1,
                contact=contact,
                email=contact.email,
                state="rejected" if number % 11 == 0 else "accepted",
                settled_at=NOW - (5 + 10 * index) * DAY,
                unsubscribed_at=None if number % 5 else NOW,
            )
            for times in range((number + index) % 4):
                kind = "opened" if (number + times) % 3 else "clicked"
                Event.objects.create(
                    workspace=workspace,
                    key=uuid.uuid4(),
                    mailing=mailing,
                    contact=contact,
                    kind=kind,
                    url=LINKS[(number + index) % len(LINKS)] if kind == "clicked" else "",
                    at=NOW - (times * 4 + index * 7) * DAY,
                    is_machine=(number + times) % 5 == 0,
                )
    Mailing.objects.update(progress_at=NOW)


class Known:
    """All that is known of a contact, for the plain reading."""

    def __init__(self, contact):
        self.contact = contact
        self.subscriptions = list(Subscription.objects.filter(contact=contact))
        self.suppressions = list(Suppression.objects.filter(email=contact.email.lower()))
        self.outcomes = list(Delivery.objects.filter(contact=contact, mailing__is_test=False))
        self.deliveries = [each for each in self.outcomes if each.state == "accepted"]
        self.events = list(Event.objects.filter(contact=contact, is_machine=False))
        self.snapshots = set(
            SegmentMember.objects.filter(contact=contact).values_list("segment_id", flat=True)
        )


def found(rules, workspace):
    return set(segments.matching(rules, workspace).values_list("pk", flat=True))


# --- The plain reading --------------------------------------------------------------------------------


def is_empty(rules):
    """Whether a group in it has no rules: then all of it finds nobody."""
    return "rules" in rules and (not rules["rules"] or any(map(is_empty, rules["rules"])))


def came_back(row):
    """What came back of a message; it arrived where nothing says otherwise."""
    is_lost = row.feedback in ("bounced", "soft_bounced", "blocked")
    return {row.feedback} | ({"arrived"} if row.state == "accepted" and not is_lost else set())


def reads(rules, known):
    if "rules" in rules:
        read_ones = [reads(each, known) for each in rules["rules"]]
        return {"and": all, "or": any, "none": lambda ones: not any(ones)}[rules["join"]](read_ones)
    subject, operator, value = rules["subject"], rules["operator"], rules["value"]
    contact = known.contact
    match subject:
        case "list":
            return reads_list(operator, value, known)
        case "tags" if operator in ("empty", "not_empty"):
            return bool(contact.tag_ids) == (operator == "not_empty")
        case "tags":
            held = [tag in contact.tag_ids for tag in value]
            return {"any_of": any(held), "all_of": all(held), "none_of": not any(held)}[operator]
        case "suppressed":
            if operator == "because":
                return any(each.reason in value for each in known.suppressions)
            return bool(known.suppressions) == (operator == "yes")
        case "mailable":
            subscribed = any(each.status == "subscribed" for each in known.subscriptions)
            return (subscribed and not known.suppressions) == (operator == "yes")
        case "created_at" | "updated_at":
            return reads_date(operator, value, str(getattr(contact, subject).date()))
        case "sent" | "opened" | "clicked":
            return reads_activity(subject, operator, value, known)
        case "outcome":
            rows = [each for each in known.outcomes if each.mailing_id == value["mailing"]]
            if operator == "left":
                return any(each.unsubscribed_at for each in rows)
            if operator == "came_back":
                return any(came_back(each) & {*value["feedbacks"]} for each in rows)
            return any(each.state in value["states"] for each in rows)
        case "segment":
            segment = Segment.objects.get(pk=value)
            inside = value in known.snapshots if segment.is_snapshot else reads(segment.rules, known)
            return inside == (operator == "in")
    key = subject.removeprefix("attribute:")
    if key == subject:
        return reads_text(operator, value, getattr(contact, key))
    held = contact.attributes.get(key)
    match FIELDS[key]:
        case "text":
            return reads_text(operator, value, "" if held is None else str(held))
        case "number":
            return reads_number(operator, value, held)
        case "date":
            return reads_date(operator, value, held)
        case "choice":
            return reads_choice(operator, value, held)
    return {"yes": held is True, "no": held is False, "empty": not isinstance(held, bool)}.get(
        operator, isinstance(held, bool)
    )


def reads_text(operator, value, held):
    held = held.upper()
    match operator:
        case "empty":
            return held == ""
        case "not_empty":
            return held != ""
        case "any_of":
            return held in [each.upper() for each in value]
        case "none_of":
            return held not in [each.upper() for each in value]
        case "domain" | "not_domain":
            is_there = any(held.endswith("@" + each.upper()) for each in value)
            return is_there == (operator == "domain")
    value = value.upper()
    return {
        "is": held == value,
        "is_not": held != value,
        "contains": value in held,
        "not_contains": value not in held,
        "starts": held.startswith(value),
        "ends": held.endswith(value),
    }[operator]


def reads_number(operator, value, held):
    is_number = isinstance(held, int | float) and not isinstance(held, bool)
    match operator:
        case "empty":
            return not is_number
        case "not_empty":
            return is_number
        case "!=":
            return not is_number or held != value
        case "between":
            return is_number and value["from"] <= held <= value["to"]
    return (
        is_number
        and {
            "=": lambda: held == value,
            "<": lambda: held < value,
            "<=": lambda: held <= value,
            ">": lambda: held > value,
            ">=": lambda: held >= value,
        }[operator]()
    )


def reads_choice(operator, value, held):
    is_there = held not in (None, "")
    match operator:
        case "any_of":
            return held in value
        case "none_of":
            return held not in value
        case "is":
            return held == value
        case "is_not":
            return held != value
    return is_there == (operator == "not_empty")


def reads_date(operator, value, held):
    is_date = isinstance(held, str) and len(held) == 10
    if operator in ("empty", "not_empty"):
        return is_date == (operator == "not_empty")
    if not is_date:
        return False
    match operator:
        case "between":
            return value["from"] <= held <= value["to"]
        case "last":
            return str(TODAY - value * DAY) <= held <= str(TODAY)
        case "ago":
            return held < str(TODAY - value * DAY)
        case "next":
            return str(TODAY) <= held <= str(TODAY + value * DAY)
        case "anniversary":
            return has_its_day(held, 0)
        case "anniversary_next":
            return has_its_day(held, value)
    return {"on": held == value, "before": held < value, "after": held > value}[operator]


def has_its_day(held, days):
    for ahead in range(min(days, 400) + 1):
        day = TODAY + ahead * DAY
        month, number = int(held[5:7]), int(held[8:])
        if (month, number) == (2, 29) and not calendar.isleap(day.year):
            number = 28
        if (day.month, day.day) == (month, number):
            return True
    return False


def reads_list(operator, value, known):
    pk = value["list"] if isinstance(value, dict) else value
    rows = [each for each in known.subscriptions if pk in (None, "", each.list_id)]
    statuses = {each.status for each in rows}
    match operator:
        case "subscribed" | "pending" | "unsubscribed":
            return operator in statuses
        case "not_on":
            return not statuses & {"subscribed", "pending"}
        case "source":
            return any(value["text"].upper() in each.consent_source.upper() for each in rows)
        case "left_last":
            return any(
                each.unsubscribed_at and each.unsubscribed_at.date() >= TODAY - value["days"] * DAY
                for each in rows
                if each.status == "unsubscribed"
            )
    joined = [(each.consent_at or each.created_at).date() for each in rows if each.status == "subscribed"]
    match operator:
        case "joined_last":
            return any(day >= TODAY - value["days"] * DAY for day in joined)
        case "joined_before":
            return any(str(day) < value["date"] for day in joined)
    return any(str(day) > value["date"] for day in joined)


def reads_activity(subject, operator, value, known):
    sent = [(each.mailing_id, each.settled_at) for each in known.deliveries]
    kinds = {subject}
    if subject == "opened" and (operator != "did" or (value["times"] or 1) == 1):
        kinds.add("clicked")  # whoever clicked has opened it; how often, only opens say
    done = [
        (each.mailing_id, each.at)
        for each in known.events
        if each.kind in kinds and leads_there(operator, value, each.url)
    ]

    def within(pairs):
        since = TODAY - value["days"] * DAY if value["days"] not in (None, "") else datetime.date.min
        return [1 for mailing, at in pairs if value["mailing"] in (None, "", mailing) and at.date() >= since]

    times = len(within(sent if subject == "sent" else done))
    match operator:
        case "did":
            return times >= (value["times"] or 1)
        case "link" | "link_has":
            return times > 0
        case "not":
            return times == 0
    return times == 0 and len(within(sent)) > 0


def leads_there(operator, value, url):
    if operator == "link":
        return url == value["link"]
    return operator != "link_has" or value["link"].upper() in url.upper()


# --- Random rules -------------------------------------------------------------------------------------


def _pick(*values):
    return st.sampled_from(values)


def some(values):
    return st.lists(st.sampled_from(values), min_size=1, max_size=4, unique=True)


DAYS = _pick(0, 1, 4, 7, 30, 36_500)
WORDS = [text for text in TEXTS if text] + ["er", "%", "_", "\\", "'; DROP TABLE x; --", "ü", "{0}", "%s"]


def leaves():
    """(subjects, operators, values) of every rule that there is."""
    news = [*List.objects.values_list("pk", flat=True), None]
    tags = list(Tag.objects.values_list("pk", flat=True))
    mailings = [*Mailing.objects.filter(is_test=False).values_list("pk", flat=True), None]
    inner = list(Segment.objects.values_list("pk", flat=True))
    texts = ["first_name", "last_name", "email", "attribute:city"]
    a_list_, a_mailing, a_date = st.sampled_from(news), st.sampled_from(mailings), st.sampled_from(DATES)
    some_days = DAYS | st.none()
    pair = st.tuples(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS)).map(sorted)
    moments = ["created_at", "updated_at"]
    a_sent_one = st.sampled_from([pk for pk in mailings if pk])
    dates = st.tuples(a_date, a_date).map(sorted)
    return [
        (
            texts,
            ["is", "is_not", "contains", "not_contains", "starts", "ends"],
            st.sampled_from(WORDS),
        ),
        (texts, ["any_of", "none_of"], some(WORDS)),
        (["first_name", "last_name", "attribute:city"], ["empty", "not_empty"], st.none()),
        (["email"], ["domain", "not_domain"], some(["example.com", "sub.example.com", "gmail.com"])),
        (["attribute:age"], ["=", "!=", "<", "<=", ">", ">="], st.sampled_from([*NUMBERS, 7, 0.1])),
        (["attribute:age"], ["between"], pair.map(lambda ends: {"from": ends[0], "to": ends[1]})),
        (["attribute:born", *moments], ["on", "before", "after"], a_date),
        (
            ["attribute:born", *moments],
            ["between"],
            dates.map(lambda ends: {"from": ends[0], "to": ends[1]}),
        ),
        (["attribute:born", *moments], ["last", "ago"], DAYS),
        (["attribute:born"], ["next", "anniversary_next"], DAYS),
        (["attribute:born"], ["anniversary"], st.none()),
        ([f"attribute:{key}" for key in FIELDS], ["empty", "not_empty"], st.none()),
        (["attribute:vip", "suppressed", "mailable"], ["yes", "no"], st.none()),
        (["suppressed"], ["because"], some(["manual", "complaint", "hard_bounce"])),
        (["attribute:plan"], ["any_of", "none_of"], some(PLANS)),
        (["attribute:plan"], ["is", "is_not"], st.sampled_from(PLANS)),
        (["tags"], ["any_of", "all_of", "none_of"], some(tags)),
        (["tags"], ["empty", "not_empty"], st.none()),
        (["list"], ["subscribed", "pending", "unsubscribed", "not_on"], a_list_),
        (
            ["list"],
            ["joined_last", "left_last"],
            st.fixed_dictionaries({"list": a_list_, "days": DAYS}),
        ),
        (
            ["list"],
            ["joined_before", "joined_after"],
            st.fixed_dictionaries({"list": a_list_, "date": a_date}),
        ),
        (["list"], ["source"], st.fixed_dictionaries({"list": a_list_, "text": _pick("sho", "Form", "%")})),
        (
            ["sent", "opened", "clicked"],
            ["did"],
            st.fixed_dictionaries({"mailing": a_mailing, "times": _pick(None, 1, 2, 3), "days": some_days}),
        ),
        (
            ["clicked"],
            ["link", "link_has"],
            st.fixed_dictionaries(
                {"link": _pick(*LINKS, "SHOP", "_b", "%"), "mailing": a_mailing, "days": some_days}
            ),
        ),
        (
            ["sent", "opened", "clicked"],
            ["not"],
            st.fixed_dictionaries({"mailing": a_mailing, "days": some_days}),
        ),
        (
            ["opened", "clicked"],
            ["ignored"],
            st.fixed_dictionaries({"mailing": a_mailing, "days": some_days}),
        ),
        (
            ["outcome"],
            ["is"],
            st.fixed_dictionaries({"mailing": a_sent_one, "states": some(DeliveryState.values)}),
        ),
        (["outcome"], ["left"], st.fixed_dictionaries({"mailing": a_sent_one})),
        (
            ["outcome"],
            ["came_back"],
            st.fixed_dictionaries({"mailing": a_sent_one, "feedbacks": some(list(CAME_BACK))}),
        ),
        (["segment"], ["in", "not_in"], st.sampled_from(inner)),
    ]


def rules_of():
    leaf = st.one_of(
        st.builds(rule, st.sampled_from(subjects), st.sampled_from(operators), values)
        for subjects, operators, values in leaves()
    )
    join = st.sampled_from(["and", "or", "none"])
    group = st.fixed_dictionaries({"join": join, "rules": st.lists(leaf, max_size=3)})
    middle = st.fixed_dictionaries({"join": join, "rules": st.lists(leaf | group, max_size=3)})
    return st.fixed_dictionaries({"join": join, "rules": st.lists(leaf | middle, max_size=4)})


def test_the_random_rules_ask_with_every_condition_and_operator(people, workspace):
    asked = {
        (subject, operator)
        for subjects, operators, _ in leaves()
        for subject in subjects
        for operator in operators
    }
    there = Vocabulary(workspace).conditions.values()
    there = [each for each in there if each.key != "added_by"]  # needs an import: see test_imported
    assert asked == {(each.key, operator) for each in there for operator in each.operators}


@pytest.mark.parametrize("is_large", [False, True])
def test_any_rules_find_whom_a_plain_reading_finds(people, workspace, monkeypatch, is_large):
    """However the planner knows the workspace: looked up for each contact, or joined."""
    monkeypatch.setattr("contacts.segments.vocabulary.LARGE", 0 if is_large else 10**9)

    @settings(max_examples=200, deadline=None)
    @given(rules_of())
    def check(rules):
        wanted = set() if is_empty(rules) else {pk for pk, known in people.items() if reads(rules, known)}
        assert found(rules, workspace) == wanted
        if wanted:  # what is stored after a check means the same
            assert found(Vocabulary(workspace).checked(read(rules)), workspace) == wanted

    check()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["join", "rules", "subject", "operator", "value", "days", "list", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
HOSTILE = [
    "1e400",
    "9" * 400,
    "nan",
    "0001-01-01",
    "9999-12-31",
    "\0",
    "٣",
    "²",
    "') OR 1=1 --",
    "$.a ? (1==1)",
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_hostile_rules_match_nobody_or_somebody_but_never_fail(people, workspace, data):
    conditions = Vocabulary(workspace).conditions
    subjects = [*conditions, "nonsense"]
    operators = sorted(
        {"nonsense", *(operator for each in conditions.values() for operator in each.operators)}
    )
    built = st.builds(
        lambda *parts: all_of(rule(*parts)),
        st.sampled_from(subjects),
        st.sampled_from(operators),
        JSON
        | st.sampled_from(HOSTILE)
        | st.dictionaries(
            _pick("from", "to", "days", "list", "mailing", "times", "text", "date", "states"),
            JSON | st.sampled_from(HOSTILE),
        ),
    )
    rules = data.draw(JSON | built)
    assert found(rules, workspace) <= set(people)
    assert isinstance(segments.in_words(rules, Vocabulary(workspace)), str)


def test_a_field_whose_key_looks_like_sql_is_only_a_key(workspace):
    for key in ("a'b", 'a"b', "a.b", "{0}", "%s", "$"):
        field = CustomField.objects.create(workspace=workspace, key=key, label=key, type="number")
        contact = a_contact(workspace, f"p{field.pk}@example.com", **{key: 7})
        for operator, value in ((">", 6), ("=", 7), ("not_empty", None)):
            assert found(all_of(rule(f"attribute:{key}", operator, value)), workspace) == {contact.pk}


def test_no_rules_match_nobody(people, workspace):
    for join in ("and", "or", "none"):
        assert found({"join": join, "rules": []}, workspace) == set()
    assert found({}, workspace) == set()


@pytest.mark.parametrize("wrap", [all_of, none_of])
def test_what_was_deleted_matches_nobody_and_says_so(people, workspace, wrap):
    """Also "none of" it: else a deleted tag would let a campaign loose on everybody."""
    tag, news, mailing = Tag.objects.first(), List.objects.first(), Mailing.objects.first()
    adults = Segment.objects.get(name="Adults")
    cases = [
        (
            rule("attribute:city", "is", "Berlin"),
            CustomField.objects.filter(key="city"),
            "“city” was deleted",
        ),
        (rule("list", "subscribed", news.pk), List.objects.filter(pk=news.pk), "The list was deleted"),
        (rule("tags", "any_of", [tag.pk]), Tag.objects.filter(pk=tag.pk), "The tag was deleted"),
        (
            rule("opened", "did", {"mailing": mailing.pk}),
            Mailing.objects.filter(pk=mailing.pk),
            "The campaign was deleted",
        ),
        (rule("segment", "in", adults.pk), Segment.objects.filter(pk=adults.pk), "The segment was deleted"),
        (
            rule("attribute:plan", "any_of", ["pro"]),
            CustomField.objects.filter(key="plan"),
            "“plan” was deleted",
        ),
    ]
    for each, gone, message in cases:
        rules = wrap(each)
        assert found(rules, workspace)
        gone.delete()
        assert found(rules, workspace) == set()
        assert message in segments.in_words(rules, Vocabulary(workspace))
        assert message in Vocabulary(workspace).problem(rules)


def test_another_workspaces_things_are_none(people, workspace, mallory):
    elsewhere = mallory.workspaces.get()
    mailing = Mailing.objects.create(
        workspace=elsewhere, name="Theirs", account=an_account(elsewhere), content={}
    )
    for each in (
        rule("list", "not_on", a_list(elsewhere, "Theirs").pk),
        rule("tags", "none_of", [Tag.objects.create(workspace=elsewhere, name="Theirs").pk]),
        rule("opened", "not", {"mailing": mailing.pk}),
        rule("segment", "not_in", a_segment(elsewhere, "Theirs").pk),
    ):
        assert found(all_of(each), workspace) == set()
        assert "never existed" in Vocabulary(workspace).problem(all_of(each))


def test_a_mail_that_asks_to_confirm_is_no_campaign(workspace):
    news = a_list(workspace, "News")
    anna = a_contact(workspace, "anna@example.com")
    mailing = Mailing.objects.create(
        workspace=workspace,
        name="Please confirm: News",
        account=an_account(workspace),
        content={},
        confirms=news,
        progress_at=NOW,
    )
    Delivery.objects.create(
        mailing=mailing, number=1, contact=anna, email=anna.email, state="accepted", settled_at=NOW
    )
    assert found(all_of(rule("sent", "did", {})), workspace) == set()
    assert found(all_of(rule("opened", "ignored", {})), workspace) == set()
    assert Vocabulary(workspace).problem(all_of(rule("sent", "did", {"mailing": mailing.pk})))


@pytest.mark.parametrize(
    "tracking",
    [None, {"opens": True, "clicks": True, "is_nameless": True}, {"opens": False, "clicks": False}],
)
def test_of_whom_nothing_is_told_nobody_says_that_they_did_not_read(people, workspace, tracking):
    """Privacy mode and campaigns that watch nothing: everybody would stand there, readers too."""
    private = Mailing.objects.get(name="Spring")
    Mailing.objects.filter(pk=private.pk).update(frame={"tracking": tracking} if tracking else {})
    for kind in ("opened", "clicked"):
        value = {"mailing": private.pk, "days": None}
        assert found(all_of(rule(kind, "ignored", value)), workspace) == set()
        other = {"mailing": Mailing.objects.get(name="Summer").pk, "days": None}
        of_any = found(all_of(rule(kind, "ignored", {"mailing": None, "days": None})), workspace)
        assert of_any <= found(all_of(rule("sent", "did", {**other, "times": None})), workspace)


def test_the_same_person_elsewhere_lends_nothing(workspace, mallory):
    """Subscriptions, suppressions and events of another workspace's contact of that address stay there."""
    elsewhere = mallory.workspaces.get()
    a_contact(elsewhere, "anna@example.com", subscribed_to=[a_list(elsewhere)])
    Suppression.objects.create(workspace=elsewhere, email="anna@example.com", reason="manual")
    anna = a_contact(workspace, "anna@example.com")
    assert found(all_of(rule("suppressed", "no"), rule("mailable", "no")), workspace) == {anna.pk}


def test_days_are_those_of_the_workspace(workspace):
    workspace.time_zone = "Pacific/Auckland"
    workspace.save()
    evening = datetime.datetime(2024, 5, 1, 13, 0, tzinfo=datetime.UTC)  # 2 May, 01:00 there
    contact = Contact.objects.create(workspace=workspace, email="a@example.com", created_at=evening)
    assert found(all_of(rule("created_at", "on", "2024-05-02")), workspace) == {contact.pk}
    assert found(all_of(rule("created_at", "after", "2024-05-01")), workspace) == {contact.pk}
    assert found(all_of(rule("created_at", "on", "2024-05-01")), workspace) == set()
    assert found(all_of(rule("created_at", "before", "2024-05-02")), workspace) == set()


@pytest.mark.parametrize(
    ("today", "birthday", "has_it"),
    [
        ("2024-02-28", "2000-02-28", True),
        ("2024-02-28", "2000-02-29", False),  # a leap year: it has its own day
        ("2024-02-29", "2000-02-29", True),
        ("2023-02-28", "2000-02-29", True),
        ("2023-03-01", "2000-02-29", False),
        ("2023-12-31", "2000-01-01", False),
        ("2024-02-28", "--02-28", True),
        ("2024-02-28", "--02-29", False),
        ("2023-02-28", "--02-29", True),
    ],
)
def test_who_was_born_on_29_february_has_it_on_the_28th(workspace, monkeypatch, today, birthday, has_it):
    a_field(workspace, "Born", type="date")
    a_contact(workspace, born=birthday)
    noon = datetime.datetime.fromisoformat(f"{today}T12:00+00:00")
    monkeypatch.setattr(timezone, "now", lambda: noon)
    assert bool(found(all_of(rule("attribute:born", "anniversary")), workspace)) == has_it


def test_a_date_without_a_year_has_anniversaries_and_is_neither_before_nor_after_another(
    workspace, monkeypatch
):
    a_field(workspace, "Born", type="date")
    anna = a_contact(workspace, born="--03-14")
    monkeypatch.setattr(timezone, "now", lambda: datetime.datetime(2024, 3, 12, 12, tzinfo=datetime.UTC))
    finds = {
        operator: bool(found(all_of(rule("attribute:born", operator, *value)), workspace))
        for operator, *value in (
            ("anniversary",), ("anniversary_next", 1), ("anniversary_next", 2), ("empty",), ("not_empty",),
            ("before", "2999-01-01"), ("after", "1900-01-01"), ("ago", 1), ("next", 30), ("last", 400),
        )
    }  # fmt: skip
    assert [operator for operator, is_found in finds.items() if is_found] == ["anniversary_next", "not_empty"]
    assert not found(all_of(rule("attribute:born", "anniversary_next", 1)), workspace)
    assert anna.attributes == {"born": "--03-14"}


def test_an_anniversary_in_the_next_days_goes_over_the_end_of_the_year(workspace, monkeypatch):
    a_field(workspace, "Born", type="date")
    a_contact(workspace, born="1990-01-03")
    monkeypatch.setattr(timezone, "now", lambda: datetime.datetime(2023, 12, 30, 12, tzinfo=datetime.UTC))
    assert not found(all_of(rule("attribute:born", "anniversary_next", 3)), workspace)
    assert found(all_of(rule("attribute:born", "anniversary_next", 4)), workspace)


def test_opened_and_not_opened_are_together_who_was_sent_it(people, workspace):
    for mailing in [*Mailing.objects.filter(is_test=False).values_list("pk", flat=True), None]:
        value = {"mailing": mailing, "days": None}
        was_sent = rule("sent", "did", {**value, "times": None})
        opened = found(all_of(was_sent, rule("opened", "did", {**value, "times": None})), workspace)
        ignored = found(all_of(rule("opened", "ignored", value)), workspace)
        assert opened
        assert ignored
        assert opened & ignored == set()
        assert opened | ignored == found(all_of(was_sent), workspace)


def test_a_workspace_that_the_planner_does_not_know_is_looked_up_and_never_joined(people, workspace):
    """Taken for empty, its events would be read anew for each of its contacts."""
    vocabulary = Vocabulary(workspace)
    assert not vocabulary.is_large
    every = [
        rule("clicked", "did", {}),
        rule("mailable", "yes"),
        rule("list", "subscribed", ""),
        rule("sent", "not", {}),
    ]
    sql = str(Contact.objects.filter(vocabulary.compile(all_of(*every))).query)
    assert "EXISTS" not in sql
    assert sql.count("LIMIT 1)) IS NOT NULL") == 5


def test_a_segment_composes_with_further_filters_in_one_query(people, workspace, django_assert_num_queries):
    segment = Segment(workspace=workspace, rules=all_of(rule("attribute:city", "is", "BERLIN")))
    with django_assert_num_queries(2):  # fields, and the one condition
        both = list(segments.matching(segment, workspace).sendable().filter(email__iendswith="example.com"))
    assert both
    assert {contact.attributes["city"].lower() for contact in both} == {"berlin"}


def test_rules_read_as_a_sentence(people, workspace):
    news, tag = List.objects.get(name="News"), Tag.objects.get(name="Hot")
    spring = Mailing.objects.get(name="Spring")
    nested = {"join": "or", "rules": [rule("attribute:age", ">=", 18), rule("attribute:vip", "yes")]}
    rules = all_of(
        rule("attribute:city", "is", "Berlin"),
        rule("list", "joined_last", {"list": news.pk, "days": 1}),
        nested,
        none_of(
            rule("tags", "any_of", [tag.pk]),
            rule("clicked", "did", {"mailing": spring.pk, "times": 2, "days": 30}),
            rule("opened", "not", {}),
            rule("segment", "in", Segment.objects.get(name="Adults").pk),
        ),
    )
    assert segments.in_words(rules, Vocabulary(workspace)) == (
        "City is “Berlin” and joined in the last 1 day on News and (Age ≥ 18 or Vip is yes) and (none of: "
        f"Tags have any of Hot or clicked Spring · {spring.created_at:%-d %b %Y} at least 2 times in the last 30 days "
        "or never opened any campaign or is in the segment “Adults”)"
    )


DEEP = {"rules": []}
for _ in range(4):
    DEEP = {"rules": [DEEP]}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([], "Add at least one rule"),
        ({"join": "xor", "rules": []}, "cannot be read"),
        ({"join": [], "rules": []}, "cannot be read"),
        ({"rules": "x"}, "cannot be read"),
        ({"rules": [{"subject": 1, "operator": "is"}]}, "a rule needs a subject"),
        (DEEP, "at most 4 deep"),
        ({"rules": [{"subject": "email", "operator": "is", "value": "x"}] * 51}, "at most 50 rules"),
        (
            {"rules": [{"subject": "email", "operator": "any_of", "value": ["x"] * 1001}]},
            "at most 1,000 values",
        ),
        (
            {"rules": [{"subject": "password", "operator": "is", "value": "x"}]},
            "was deleted or never existed",
        ),
        ({"rules": [{"subject": "email", "operator": "<", "value": "x"}]}, "cannot be compared"),
        ({"rules": [{"subject": "email", "operator": "is", "value": " "}]}, "Fill in the value"),
        ({"rules": [{"subject": "email", "operator": "any_of", "value": " \n "}]}, "at least one value"),
        ({"rules": [{"subject": "tags", "operator": "any_of", "value": ""}]}, "Choose at least one tag"),
        ({"rules": [{"subject": "segment", "operator": "in", "value": ""}]}, "Choose a segment"),
        ({"rules": [{"subject": "created_at", "operator": "on", "value": "soon"}]}, "Choose a date"),
        ({"rules": [{"subject": "created_at", "operator": "last", "value": 1e9}]}, "whole number of days"),
        (
            {"rules": [{"subject": "opened", "operator": "did", "value": {"times": 0}}]},
            "whole number of times, from 1 to 1,000",
        ),
        ({"rules": [{"subject": "email", "operator": "is", "value": "a\0b"}]}, "cannot be read"),
        ({"rules": [{"subject": "email", "operator": "any_of", "value": ["a\0b"]}]}, "cannot be read"),
    ],
)
def test_what_cannot_be_saved_is_said_in_words(workspace, raw, message):
    with pytest.raises(RulesProblem, match=message):
        Vocabulary(workspace).checked(read(raw))


def test_several_values_are_pasted_with_what_stands_between_them(workspace):
    rules = {
        "rules": [
            rule("email", "domain", "gmail.com, @gmx.de;web.de\nweb.de"),
            rule("email", "any_of", "a\nb"),
        ]
    }
    stored = Vocabulary(workspace).checked(read(rules))["rules"]
    assert stored[0]["value"] == ["gmail.com", "@gmx.de", "web.de"]
    assert stored[1]["value"] == ["a", "b"]
    anna = a_contact(workspace, "anna@GMX.de")
    assert found(all_of(stored[0]), workspace) == {anna.pk}


def test_rules_saved_before_there_were_several_values_still_hold(workspace):
    """As the first version stored them: one value by itself."""
    news = a_list(workspace)
    anna = a_contact(workspace, "anna@gmail.com", subscribed_to=[news])
    rules = all_of(rule("email", "domain", "gmail.com"), rule("list", "subscribed", news.pk))
    assert found(rules, workspace) == {anna.pk}
    assert found(rules, a_workspace("Elsewhere")) == set()


def test_of_those_who_did_not_agree_nobody_says_that_they_did_not_read(people, workspace):
    """They were sent plain links and no picture; who agrees is asked as the segment is read."""
    spring = Mailing.objects.get(name="Spring")
    value = {"mailing": spring.pk, "days": None}
    ignored = found(all_of(rule("opened", "ignored", value)), workspace)
    agreed = set(sorted(ignored)[::2])
    Contact.objects.filter(pk__in=agreed).update(attributes={"watch_me": True})
    Contact.objects.filter(pk__in=ignored - agreed).update(attributes={"watch_me": False})
    Mailing.objects.filter(pk=spring.pk).update(
        frame={"tracking": {**WATCHED["tracking"], "consent": "watch_me"}}
    )
    assert found(all_of(rule("opened", "ignored", value)), workspace) == agreed
    of_any = found(all_of(rule("opened", "ignored", {"mailing": None, "days": None})), workspace)
    summer = {"mailing": Mailing.objects.get(name="Summer").pk, "days": None, "times": None}
    assert not (of_any - agreed) - found(all_of(rule("sent", "did", summer)), workspace)
