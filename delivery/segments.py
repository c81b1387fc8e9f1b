"""What segments can ask of messages: who was sent, opened or clicked what; hung into `contacts.registry`."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from contacts.segments.condition import Condition, Operator, said
from contacts.segments.inputs import TIMES_LIMIT, Choices, One, Some, Text, Whole
from delivery.hygiene.standing import ARRIVED, CAME_BACK, arrived
from delivery.models import Delivery, DeliveryState, Event, EventKind, Mailing


@dataclass(frozen=True)
class Sent:
    """A mailing as rules speak of it. moved_at: after it, nothing of it was sent. told: what of it says who did it.

    consent: the key of the field by which alone people are watched, or "".
    """

    name: str
    began_at: datetime
    moved_at: datetime
    told: frozenset[str]
    consent: str


def mailings(vocabulary: Any) -> dict[int, Sent]:
    """All campaigns, the newest first; one query. Tests and mails that ask to confirm are none."""
    return vocabulary.once(_mailings, "mailings")


def _mailings(workspace: Any) -> dict[int, Sent]:
    rows = Mailing.objects.of(workspace).filter(is_test=False, confirms=None).order_by("-pk")
    columns = rows.values_list("pk", "name", "created_at", "progress_at", "frame__tracking")
    return {
        pk: Sent(name, began_at, moved_at, _told(tracked or {}), (tracked or {}).get("consent", ""))
        for pk, name, began_at, moved_at, tracked in columns
    }


def _told(tracked: dict[str, Any]) -> frozenset[str]:
    """In privacy mode there are totals alone. tracked: as of `Tracked`, empty where nothing is watched."""
    kinds = {EventKind.OPENED: "opens", EventKind.CLICKED: "clicks"}
    is_named = not tracked.get("is_nameless")
    return frozenset(kind.value for kind, word in kinds.items() if is_named and tracked.get(word))


def campaigns(vocabulary: Any) -> Choices:
    """Named with their day, since many have the name of the one before."""
    zone = vocabulary.clock.zone
    return {
        pk: f"{each.name} · {each.began_at.astimezone(zone):%-d %b %Y}"
        for pk, each in mailings(vocabulary).items()
    }


CAMPAIGN: Final = One("mailing", label="Campaign", choices=campaigns, thing="campaign", blank="any campaign")
TIMES: Final = Whole(
    "times", label="Times", before="at least", unit="time", least=1, most=TIMES_LIMIT, blank="once"
)
DAYS: Final = Whole("days", label="Days", before="in the last", blank="ever")
THE_CAMPAIGN: Final = replace(CAMPAIGN, blank="")
OUTCOMES: Final = Some(
    "states",
    label="Outcomes",
    before="is",
    choices=lambda _vocabulary: dict(DeliveryState.choices),
    thing="outcome",
)
FEEDBACKS: Final = Some(
    "feedbacks", label="What came back", before="was", choices=lambda _vocabulary: CAME_BACK, thing="answer"
)
EVER_OR_LATELY: Final = (CAMPAIGN, DAYS)
LINK: Final = Text("link", label="Link")
LINKED: Final = {"link": "url", "link_has": "url__icontains"}


class Activity(Condition):
    """Something that happened between a contact and the messages of campaigns; a test message is to no contact."""

    group = "Engagement"

    def __init__(self, key: str, label: str, *, did: str, **others: str) -> None:
        """did, others: each operator in words."""
        super().__init__(key, label)
        self.operators = {
            "did": Operator(did, (CAMPAIGN, TIMES, DAYS)),
            **{operator: Operator(words, EVER_OR_LATELY) for operator, words in others.items()},
        }

    def compile(self, operator: str, value: Any, vocabulary: Any) -> Q:
        rows = self.rows(vocabulary, value["mailing"], value["days"])
        match operator:
            case "did":
                return self._did(rows, value["times"] or 1, vocabulary)
            case "not":
                return ~self._did(rows, 1, vocabulary)
        return self._watched(vocabulary, value["mailing"], value["days"]) & ~self._did(rows, 1, vocabulary)

    def _watched(self, vocabulary: Any, mailing: int | None, days: int | None) -> Q:
        """Was sent one that would have told of it; where only who agreed is watched, as they say now."""
        known = mailings(vocabulary)
        asked = known.values() if mailing is None else [known[mailing]]
        found = Q()
        for consent in {each.consent for each in asked if self.key in each.told} or {""}:
            was_sent = vocabulary.has(sent(vocabulary, mailing, days, told=self.key, consent=consent))
            found |= was_sent & Q(attributes__contains={consent: True}) if consent else was_sent
        return found

    def _did(self, rows: QuerySet[Any], times: int, vocabulary: Any) -> Q:
        """The first time is looked for over everybody at once, further ones of whoever has one, by index alone."""
        found: Q = vocabulary.has(rows, **self.own(vocabulary))
        return found & Q(Exists(self.counted(rows)[times - 1 :])) if times > 1 else found

    def counted(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Those of the rows that are a time of their own."""
        return rows

    def own(self, vocabulary: Any) -> dict[str, Any]:
        """What the contact implies of its rows, where they have a column for it."""
        return {}

    def rows(self, vocabulary: Any, mailing: int | None, days: int | None) -> QuerySet[Any]:
        raise NotImplementedError

    def in_words(self, operator: Operator, value: Any, vocabulary: Any) -> str:
        words = [operator.label, CAMPAIGN.shown(value["mailing"], vocabulary)]
        if "link" in value:
            words[1:] = [LINK.shown(value["link"], vocabulary), "in", words[1]]
        if value.get("times") and value["times"] > 1:
            words += ["at least", TIMES.shown(value["times"], vocabulary)]
        if value["days"] is not None:
            words += ["in the last", DAYS.shown(value["days"], vocabulary)]
        return " ".join(words)


class WasSent(Activity):
    def rows(self, vocabulary: Any, mailing: int | None, days: int | None) -> QuerySet[Any]:
        return sent(vocabulary, mailing, days)


class Did(Activity):
    """What people did, as far as it was no machine's doing. Whoever clicked has opened it, pictures or not."""

    def rows(self, vocabulary: Any, mailing: int | None, days: int | None) -> QuerySet[Any]:
        kinds = [EventKind.OPENED, EventKind.CLICKED] if self.key == EventKind.OPENED else [self.key]
        rows = Event.objects.filter(kind__in=kinds, is_machine=False, contact=OuterRef("pk"))
        if mailing is not None:
            rows = rows.filter(mailing=mailing)  # event_mailing_idx
        if days is not None:
            rows = rows.filter(at__gte=vocabulary.clock.since(days))  # event_lately_idx
        return rows

    def counted(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(kind=self.key)

    def own(self, vocabulary: Any) -> dict[str, Any]:
        return {"workspace": vocabulary.workspace}


class Clicked(Did):
    """Where a link led to is read from the clicks themselves, which the index finds by campaign or time."""

    def __init__(self, key: str, label: str, **words: str) -> None:
        super().__init__(key, label, **words)
        self.operators |= {
            "link": Operator("clicked the link", (LINK, *EVER_OR_LATELY)),
            "link_has": Operator("clicked a link that contains", (LINK, *EVER_OR_LATELY)),
        }

    def compile(self, operator: str, value: Any, vocabulary: Any) -> Q:
        if operator not in LINKED:
            return super().compile(operator, value, vocabulary)
        rows = self.rows(vocabulary, value["mailing"], value["days"])
        return self._did(rows.filter(**{LINKED[operator]: value["link"]}), 1, vocabulary)


class Outcome(Condition):
    """How a campaign ended for a contact; "was sent" is the usual question."""

    group = "Engagement"
    operators = {
        "is": Operator("of", (THE_CAMPAIGN, OUTCOMES)),
        "came_back": Operator("what came back of", (THE_CAMPAIGN, FEEDBACKS)),
        "left": Operator("unsubscribed by the link of", (THE_CAMPAIGN,)),
    }

    def compile(self, operator: str, value: Any, vocabulary: Any) -> Q:
        rows = Delivery.objects.filter(contact=OuterRef("pk"), mailing=value["mailing"])
        if operator == "left":
            return vocabulary.has(rows.filter(unsubscribed_at__isnull=False))
        if operator == "came_back":
            wanted = Q(feedback__in=[each for each in value["feedbacks"] if each != ARRIVED])
            return vocabulary.has(
                rows.filter(wanted | arrived() if ARRIVED in value["feedbacks"] else wanted)
            )
        return vocabulary.has(rows.filter(state__in=value["states"]))

    def in_words(self, operator: Operator, value: Any, vocabulary: Any) -> str:
        words = " ".join(said(operator, value, vocabulary))
        return f"{operator.label} {words}" if operator.label != "of" else f"outcome of {words}"


def sent(
    vocabulary: Any, mailing: int | None, days: int | None, *, told: str = "", consent: str = ""
) -> QuerySet[Delivery]:
    """The ledger's rows of the contact that an outer query is at, accepted by the next server.

    told: only of mailings that tell who did it, and that watch by this consent. The mailings are named one by one: a
    plan by hash reads the ledgers of no others.
    """
    rows = Delivery.objects.filter(contact=OuterRef("pk"), state=DeliveryState.ACCEPTED)
    known = mailings(vocabulary)
    if mailing is not None:
        known = {mailing: known[mailing]}
    if told:
        known = {pk: each for pk, each in known.items() if told in each.told and each.consent == consent}
    if days is None:
        return rows.filter(mailing__in=list(known))
    since = vocabulary.clock.since(days)
    return rows.filter(
        mailing__in=[pk for pk, each in known.items() if each.moved_at >= since], settled_at__gte=since
    )


def conditions(vocabulary: Any) -> list[Condition]:
    return [
        WasSent("sent", "Was sent", did="was sent", **{"not": "was not sent"}),
        Did(
            "opened", "Opened", did="opened", ignored="was sent, yet did not open", **{"not": "never opened"}
        ),
        Clicked(
            "clicked",
            "Clicked",
            did="clicked",
            ignored="was sent, yet did not click",
            **{"not": "never clicked"},
        ),
        Outcome("outcome", "Outcome"),
    ]
