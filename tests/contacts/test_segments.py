"""Rules to SQL: whatever a rule tree says, the contacts found are those of a plain reading of it."""

import datetime

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contacts import segments
from contacts.models import Contact, CustomField, List, Segment, Subscription
from contacts.segments.rules import RulesProblem, read
from contacts.segments.vocabulary import Vocabulary

TODAY = timezone.now().date()
DATES = [str(TODAY - datetime.timedelta(days=days)) for days in (0, 1, 6, 7, 8, 400, -1)]
TEXTS = ["", "Berlin", "berlin", "Bern", "50%_", "O'Neil", "x\\y", "München"]
NUMBERS = [0, 1, -3, 2.5, 10, 1e14]
JUNK = [None, "", "old", [5], {"a": 1}, "2024-99", "7", 7, True, "2024-01-01T10:00"]
FIELDS = {"city": "text", "age": "number", "born": "date", "vip": "boolean"}


def rule(subject, operator, value=None):
    return {"subject": subject, "operator": operator, "value": value}


def all_of(*rules):
    return {"join": "and", "rules": list(rules)}


@pytest.fixture
def people(workspace):
    """Contacts of every kind, junk in typed fields included, on a list or not."""
    for key, kind in FIELDS.items():
        CustomField.objects.create(workspace=workspace, key=key, label=key.title(), type=kind)
    news = List.objects.create(workspace=workspace, name="News")
    scalars = {
        "city": [*TEXTS, 7, None],
        "age": [*NUMBERS, *JUNK],
        "born": [*DATES, *JUNK],
        "vip": [True, False, *JUNK],
    }
    for number in range(60):
        attributes = {
            key: values[(number * step) % len(values)]
            for step, (key, values) in enumerate(scalars.items(), start=1)
            if (number + step) % 5
        }
        contact = Contact.objects.create(
            workspace=workspace,
            email=f"U{number}@{'example.com' if number % 3 else 'sub.example.com'}",
            first_name=TEXTS[number % len(TEXTS)],
            attributes=attributes,
            created_at=timezone.now() - datetime.timedelta(days=number % 10),
        )
        if number % 4:
            status = ["subscribed", "unsubscribed", "pending"][number % 4 - 1]
            Subscription.objects.create(workspace=workspace, contact=contact, list=news, status=status)
    return {contact.pk: contact for contact in Contact.objects.prefetch_related("subscriptions")}


def found(rules, workspace):
    return set(segments.matching(rules, workspace).values_list("pk", flat=True))


# --- The plain reading --------------------------------------------------------------------------------


def reads(rules, contact):
    if "rules" in rules:
        join = all if rules["join"] == "and" else any
        return bool(rules["rules"]) and join([reads(each, contact) for each in rules["rules"]])
    subject, operator, value = rules["subject"], rules["operator"], rules["value"]
    if subject == "list":
        statuses = {each.status for each in contact.subscriptions.all()}
        return {
            "subscribed": "subscribed" in statuses,
            "unsubscribed": "unsubscribed" in statuses,
            "not_on": not statuses & {"subscribed", "pending"},
        }[operator]
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
    return {"yes": held is True, "no": held is False, "empty": not isinstance(held, bool)}.get(
        operator, isinstance(held, bool)
    )


def reads_text(operator, value, held):
    if operator in ("empty", "not_empty"):
        return (held == "") == (operator == "empty")
    value, held = value.upper(), held.upper()
    return {
        "is": held == value,
        "is_not": held != value,
        "contains": value in held,
        "not_contains": value not in held,
        "starts": held.startswith(value),
        "ends": held.endswith(value),
        "domain": held.endswith("@" + value),
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
    return (
        is_number
        and {
            "=": held == value,
            "<": held < value,
            "<=": held <= value,
            ">": held > value,
            ">=": held >= value,
        }[operator]
    )


def reads_date(operator, value, held):
    is_date = isinstance(held, str) and len(held) == 10
    match operator:
        case "empty":
            return not is_date
        case "not_empty":
            return is_date
        case "last":
            return is_date and str(TODAY - datetime.timedelta(days=value)) <= held <= str(TODAY)
    return is_date and {"on": held == value, "before": held < value, "after": held > value}[operator]


def rules_of(news):
    texts = st.sampled_from([text for text in TEXTS if text] + ["er", "%", "_", "\\", "'; DROP TABLE x; --"])
    text_operators = ["is", "is_not", "contains", "not_contains", "starts", "ends", "empty", "not_empty"]
    text = st.builds(
        rule,
        st.sampled_from(["first_name", "email", "attribute:city"]),
        st.sampled_from(text_operators),
        texts,
    )
    domain = st.builds(
        rule, st.just("email"), st.just("domain"), st.sampled_from(["example.com", "sub.example.com"])
    )
    number_operators = ["=", "!=", "<", "<=", ">", ">=", "empty", "not_empty"]
    number = st.builds(
        rule, st.just("attribute:age"), st.sampled_from(number_operators), st.sampled_from([*NUMBERS, 7, 0.1])
    )
    born = st.builds(
        rule,
        st.just("attribute:born"),
        st.sampled_from(["on", "before", "after", "empty", "not_empty"]),
        st.sampled_from(DATES),
    )
    lately = st.builds(rule, st.just("attribute:born"), st.just("last"), st.sampled_from([0, 1, 7, 36500]))
    vip = st.builds(rule, st.just("attribute:vip"), st.sampled_from(["yes", "no", "empty", "not_empty"]))
    on_list = st.builds(
        rule, st.just("list"), st.sampled_from(["subscribed", "unsubscribed", "not_on"]), st.just(news.pk)
    )
    leaf = text | domain | number | born | lately | vip | on_list
    inner = st.fixed_dictionaries(
        {"join": st.sampled_from(["and", "or"]), "rules": st.lists(leaf, max_size=3)}
    )
    return st.fixed_dictionaries(
        {"join": st.sampled_from(["and", "or"]), "rules": st.lists(leaf | inner, max_size=4)}
    )


def test_any_rules_find_whom_a_plain_reading_finds(people, workspace):
    @settings(max_examples=150, deadline=None)
    @given(rules_of(List.objects.get()))
    def check(rules):
        assert found(rules, workspace) == {pk for pk, contact in people.items() if reads(rules, contact)}

    check()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["join", "rules", "subject", "operator", "value", "x"]), inner, max_size=5
        )
    ),
    max_leaves=20,
)
SUBJECTS = [
    "email",
    "first_name",
    "created_at",
    "list",
    "attribute:age",
    "attribute:born",
    "attribute:vip",
    "nonsense",
]
OPERATORS = [
    "is",
    "=",
    "<",
    "on",
    "before",
    "after",
    "last",
    "yes",
    "subscribed",
    "domain",
    "empty",
    "nonsense",
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    JSON
    | st.builds(
        lambda *parts: all_of(rule(*parts)),
        st.sampled_from(SUBJECTS),
        st.sampled_from(OPERATORS),
        JSON | st.sampled_from(["1e400", "9" * 400, "nan", "0001-01-01", "9999-12-31", "\0", "٣", "²"]),
    )
)
def test_hostile_rules_match_nobody_or_somebody_but_never_fail(people, workspace, rules):
    assert found(rules, workspace) <= set(people)
    assert isinstance(segments.in_words(rules, Vocabulary.of(workspace)), str)


def test_no_rules_match_nobody(people, workspace):
    assert found({}, workspace) == set()
    assert found({"join": "or", "rules": []}, workspace) == set()


def test_a_deleted_field_matches_nobody_and_says_so(people, workspace):
    rules = all_of(rule("attribute:city", "is", "Berlin"))
    assert found(rules, workspace)
    CustomField.objects.filter(key="city").delete()
    assert found(rules, workspace) == set()
    assert "“city” was deleted" in segments.in_words(rules, Vocabulary.of(workspace))


def test_a_deleted_list_matches_nobody_even_by_not_on(people, workspace):
    rules = all_of(rule("list", "not_on", List.objects.get().pk))
    assert found(rules, workspace)
    List.objects.all().delete()
    assert found(rules, workspace) == set()


def test_another_workspaces_list_is_no_list(people, workspace, mallory):
    theirs = List.objects.create(workspace=mallory.workspaces.get(), name="Theirs")
    assert found(all_of(rule("list", "not_on", theirs.pk)), workspace) == set()


def test_days_are_those_of_the_workspace(workspace):
    workspace.time_zone = "Pacific/Auckland"
    workspace.save()
    evening = datetime.datetime(2024, 5, 1, 13, 0, tzinfo=datetime.UTC)  # 2 May, 01:00 there
    contact = Contact.objects.create(workspace=workspace, email="a@example.com", created_at=evening)
    assert found(all_of(rule("created_at", "on", "2024-05-02")), workspace) == {contact.pk}
    assert found(all_of(rule("created_at", "after", "2024-05-01")), workspace) == {contact.pk}
    assert found(all_of(rule("created_at", "on", "2024-05-01")), workspace) == set()
    assert found(all_of(rule("created_at", "before", "2024-05-02")), workspace) == set()


def test_a_segment_composes_with_further_filters_in_one_query(people, workspace, django_assert_num_queries):
    segment = Segment(workspace=workspace, rules=all_of(rule("attribute:city", "is", "BERLIN")))
    with django_assert_num_queries(3):  # fields, lists, and the one condition
        both = list(segments.matching(segment, workspace).sendable().filter(email__endswith="example.com"))
    assert both
    assert {contact.attributes["city"].lower() for contact in both} == {"berlin"}


def test_rules_read_as_a_sentence(people, workspace):
    news = List.objects.get()
    nested = {"join": "or", "rules": [rule("attribute:age", ">=", 18), rule("attribute:vip", "yes")]}
    rules = all_of(rule("attribute:city", "is", "Berlin"), rule("list", "subscribed", news.pk), nested)
    words = segments.in_words(rules, Vocabulary.of(workspace))
    assert words == "City is “Berlin” and subscribed to News and (Age ≥ 18 or Vip is yes)"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([], "Add at least one rule"),
        ({"join": "xor", "rules": []}, "cannot be read"),
        ({"rules": "x"}, "cannot be read"),
        ({"rules": [{"subject": 1, "operator": "is"}]}, "a rule needs a subject"),
        ({"rules": [{"rules": [{"rules": [{"rules": []}]}]}]}, "at most 3 deep"),
        ({"rules": [{"subject": "email", "operator": "is", "value": "x"}] * 51}, "at most 50 rules"),
        (
            {"rules": [{"subject": "password", "operator": "is", "value": "x"}]},
            "was deleted or never existed",
        ),
        ({"rules": [{"subject": "email", "operator": "<", "value": "x"}]}, "cannot be compared"),
        ({"rules": [{"subject": "email", "operator": "is", "value": " "}]}, "Fill in the value"),
        ({"rules": [{"subject": "created_at", "operator": "on", "value": "soon"}]}, "Choose a date"),
        ({"rules": [{"subject": "created_at", "operator": "last", "value": 1e9}]}, "whole number of days"),
        ({"rules": [{"subject": "email", "operator": "is", "value": "a\0b"}]}, "cannot be read"),
    ],
)
def test_what_cannot_be_saved_is_said_in_words(workspace, raw, message):
    with pytest.raises(RulesProblem, match=message):
        Vocabulary.of(workspace).checked(read(raw))
