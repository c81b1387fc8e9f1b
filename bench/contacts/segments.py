"""How fast segments are counted: typical ones, and that no plan reads a whole table where an index serves."""

import json
import time
from collections.abc import Iterator
from typing import Any

from django.db import connection

from accounts.models import Workspace
from bench.contacts.activity import MAILINGS, add_activity
from contacts import segments
from contacts.models import Contact, List, Segment, SegmentMember, Tag
from contacts.queries import segments as queries
from delivery.models import Mailing

LONGEST_SECONDS = 120  # of one count, on a machine that is busy
TIMES = 3  # each is counted; the best is told, since other work on the machine is no part of it
BARS = {
    "two attributes": 300,
    "city, clicked in 30 days": 800,
}  # ms at a million contacts, five million events
# Rows of these are found by an index: nothing but the contacts themselves may be read from end to end.
NEVER_WHOLE = ("delivery_event", "delivery_delivery", "contacts_segmentmember")
TAG = """
UPDATE contacts_contact SET tag_ids = ARRAY[%s] WHERE workspace_id = %s AND id %% 50 = 0
"""


def measure_segments(workspace: Workspace, count: int) -> dict[str, object]:
    """Milliseconds of each segment's count and of its ten examples; what an estimate is off by; whole tables read."""
    add_activity(workspace, count)
    cases = dict(_cases(workspace, count))
    found: dict[str, Any] = {"ms": {}, "examples_ms": {}, "people": {}, "whole": []}
    for name, rules in cases.items():
        rows = segments.matching(rules, workspace)
        with queries.at_most(LONGEST_SECONDS):
            found["ms"][name], found["people"][name] = _best(rows.count)
            found["whole"] += [f"{name}: {table}" for table in _read_whole(rows)]
        found["examples_ms"][name] = _best(lambda rows=rows: queries._examples(rows))[0]
    found["estimates_off_percent"] = _estimates(cases, workspace, found["people"])
    found["over"] = {name: found["ms"][name] for name, bar in BARS.items() if found["ms"][name] > bar}
    found["snapshot_ms"] = _snapshot(workspace)
    _clean(workspace)
    return found


def _cases(workspace: Workspace, count: int) -> Iterator[tuple[str, Any]]:
    list_id = List.objects.of(workspace).get(name="Everyone").pk
    tag = Tag.objects.create(workspace=workspace, name="Bench")
    with connection.cursor() as cursor:
        cursor.execute(TAG, [tag.pk, workspace.pk])
    vip = Segment.objects.create(
        workspace=workspace, name="VIP", rules=_all(_rule("attribute:points", ">", 900))
    )
    last = Mailing.objects.of(workspace).order_by("-pk")[0].pk
    city, clicked = _rule("attribute:city", "is", "Berlin"), _did("clicked", days=30)
    yield "city", _all(city)
    yield "two attributes", _all(city, _rule("attribute:points", ">", 500))
    yield "city or language", _all(city, _rule("attribute:language", "is", "fr"), join="or")
    yield (
        "any of ten companies",
        _all(_rule("attribute:company", "any_of", [f"Company {n}" for n in range(10)])),
    )
    yield "zip starts with", _all(_rule("attribute:zip", "starts", "101"))
    yield (
        "born before, member",
        _all(_rule("attribute:born", "before", "1980-01-01"), _rule("attribute:member", "yes")),
    )
    yield "birthday today", _all(_rule("attribute:born", "anniversary"))
    yield "domain", _all(_rule("email", "domain", ["gmail.com"]))
    yield "name contains", _all(_rule("last_name", "contains", "99"))
    yield "added in 7 days", _all(_rule("created_at", "last", 7))
    yield "on the list", _all(_rule("list", "subscribed", list_id))
    yield "can be mailed, city", _all(_rule("mailable", "yes"), city)
    yield "tag", _all(_rule("tags", "any_of", [tag.pk]))
    yield "clicked in 30 days", _all(clicked)
    yield "city, clicked in 30 days", _all(city, clicked)
    yield "city or clicked in 30 days", _all(city, clicked, join="or")
    yield "sent the last, not opened", _all(_rule("opened", "ignored", {"mailing": last, "days": None}))
    yield "clicked the last", _all(_did("clicked", mailing=last))
    link = {"link": "https://shop.example/offer/5", "mailing": last, "days": None}
    yield "clicked a link of the last", _all(_rule("clicked", "link", link))
    yield "city, opened twice in 60 days", _all(city, _did("opened", times=2, days=60))
    yield (
        "city, never opened, not VIP",
        _all(
            city, _rule("opened", "not", {"mailing": None, "days": None}), _rule("segment", "not_in", vip.pk)
        ),
    )


def _all(*rules: Any, join: str = "and") -> dict[str, Any]:
    return {"join": join, "rules": list(rules)}


def _rule(subject: str, operator: str, value: Any = None) -> dict[str, Any]:
    return {"subject": subject, "operator": operator, "value": value}


def _did(what: str, *, mailing: int | None = None, times: int = 1, days: int | None = None) -> dict[str, Any]:
    return _rule(what, "did", {"mailing": mailing, "times": times, "days": days})


def _best(deed: Any) -> tuple[int, Any]:
    """Milliseconds of the quickest, and what it gave."""
    best, given = float("inf"), None
    for _ in range(TIMES):
        began = time.monotonic()
        given = deed()
        best = min(best, time.monotonic() - began)
    return round(best * 1000), given


def _read_whole(rows: Any) -> list[str]:
    """The tables that the plan reads from end to end though it should not."""
    plan = json.loads(rows.values("pk").explain(format="json"))
    found = []

    def walk(node: dict[str, Any]) -> None:
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in NEVER_WHOLE:
            found.append(node["Relation Name"])
        for inner in node.get("Plans", []):
            walk(inner)

    walk(plan[0]["Plan"])
    return found


def _estimates(cases: dict[str, Any], workspace: Workspace, people: dict[str, int]) -> dict[str, float]:
    off = {}
    for name, rules in cases.items():
        figure = queries._estimated(segments.matching(rules, workspace), 5)
        if figure and not figure.is_few and people[name]:
            off[name] = round(100 * abs(figure.people - people[name]) / people[name], 1)
    return off


def _snapshot(workspace: Workspace) -> int:
    """Milliseconds to freeze everybody, as the job does it."""
    from contacts.actions import segments as actions

    everybody = Segment.objects.create(
        workspace=workspace, name="Everybody", kind="snapshot", rules=_all(_rule("email", "contains", "@"))
    )
    began = time.monotonic()
    assert actions.take(everybody.pk) == Contact.objects.of(workspace).count()
    return round((time.monotonic() - began) * 1000)


def _clean(workspace: Workspace) -> None:
    held = Segment.objects.of(workspace)
    SegmentMember.objects.filter(segment__in=held).delete()
    held.delete()
    Tag.objects.of(workspace).delete()
    assert Mailing.objects.of(workspace).count() == MAILINGS
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE contacts_contact SET tag_ids = '{}' WHERE workspace_id = %s AND tag_ids <> '{}'",
            [workspace.pk],
        )
        cursor.execute("DELETE FROM delivery_event WHERE workspace_id = %s", [workspace.pk])
        cursor.execute(
            "DELETE FROM delivery_delivery WHERE mailing_id IN (SELECT id FROM delivery_mailing WHERE workspace_id = %s)",
            [workspace.pk],
        )
        cursor.execute("DELETE FROM delivery_mailing WHERE workspace_id = %s", [workspace.pk])
        cursor.execute("DELETE FROM delivery_sendingaccount WHERE workspace_id = %s", [workspace.pk])
