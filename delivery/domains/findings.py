"""What a check found, in one shape for records, hosts and blocklists; kept as JSON with its domain."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["good", "warning", "wrong", "unknown"]
LABELS: dict[State, str] = {
    "good": "In order",
    "warning": "Worth a look",
    "wrong": "Not in order",
    "unknown": "Not known",
}
WORST_FIRST: tuple[State, ...] = ("wrong", "unknown", "warning", "good")


@dataclass
class Finding:
    """One record, host or list: what is to stand there, what stands there, and what that means.

    wanted: the exact value to set, "" where none is. said: whole sentences. ttl: seconds an old answer may live on.
    required: mail from the domain is not to leave without it. provider: whose record it is, where it is a sending
    service's and was looked for unasked. was_in_order: at this check or an earlier one. is_lost: see
    `delivery.domains.alarms`.
    """

    subject: str  # "spf", "dkim", …
    label: str
    host: str = ""
    kind: str = "TXT"
    wanted: str = ""
    found: list[str] = field(default_factory=list)
    state: State = "good"
    said: list[str] = field(default_factory=list)
    ttl: int = 0
    required: bool = False
    provider: str = ""
    was_in_order: bool = False
    is_lost: bool = False

    def mark(self, state: State, sentence: str) -> None:
        """Say it; the worst that was said is the finding's state."""
        self.said.append(sentence)
        if WORST_FIRST.index(state) < WORST_FIRST.index(self.state):
            self.state = state

    @property
    def state_label(self) -> str:
        return LABELS[self.state]

    @property
    def ttl_minutes(self) -> int:
        return -(-self.ttl // 60)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def worst(states: list[State]) -> State:
    return next((each for each in WORST_FIRST if each in states), "good")
