"""What the rules of one workspace can speak of, and what they mean: as SQL, and as a sentence.

Each thing (fields, lists, tags, campaigns, segments) is asked for when a rule first speaks of it, and once.
"""

import json
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, TypeVar

from django.db.models import Exists, Q, QuerySet
from django.utils import timezone

from accounts.models import Workspace
from contacts import registry
from contacts.models import Contact, Segment
from contacts.segments import fields, inside, lists, people
from contacts.segments.condition import Condition, Operator
from contacts.segments.inputs import Broken
from contacts.segments.rules import Group, Rule, RulesProblem, read
from contacts.segments.sql import Clock, looked_up

INSIDE_LIMIT: Final = 3  # segments within segments, the outermost counted
COMPILED_LIMIT: Final = 300  # conditions in all, those of the segments within included
LARGE: Final = 100_000  # contacts; to look up so many takes half a second
UNTIL_THEN: Final = "Until then nobody matches"
Thing = TypeVar("Thing")
# In the order of the menu; what higher rooms know comes before the segments.
OWN: Final = (people.conditions, fields.conditions, lists.conditions)


class Vocabulary:
    """edited: the saved segment whose rules these are, if any; it cannot be within itself."""

    def __init__(self, workspace: Workspace, *, edited: int | None = None) -> None:
        self.workspace, self.edited = workspace, edited
        self.clock = Clock(timezone.now().astimezone(workspace.zone).date(), workspace.zone)
        self._held: dict[str, Any] = {}
        self._inside: list[int] = []  # the segments that are being compiled, from the outermost
        self._compiled_count = 0

    @cached_property
    def conditions(self) -> dict[str, Condition]:
        """By key, in the order of a menu. One query: the custom fields."""
        sources = (*OWN, *registry.conditions, inside.conditions)
        return {each.key: each for source in sources for each in source(self)}

    @cached_property
    def segments(self) -> dict[int, Segment]:
        """All of the workspace, by id; one query."""
        return {each.pk: each for each in Segment.objects.of(self.workspace).order_by("name")}

    @cached_property
    def is_large(self) -> bool:
        """Whether the planner knows the workspace for a large one; one query, of the planner alone."""
        plan = json.loads(Contact.objects.of(self.workspace).values("pk").explain(format="json"))
        return int(plan[0]["Plan"]["Plan Rows"]) >= LARGE

    def has(self, rows: QuerySet[Any], **own: Any) -> Q:
        """Whether the contact that an outer query is at has one of the rows. own: what the contact implies of them.

        Of a large workspace they may be joined, by hash over its own ones. A small or new one is not in the
        planner's statistics: taken for empty, its rows would be read anew for each contact, so they are looked up.
        """
        return Q(Exists(rows.filter(**own))) if self.is_large else looked_up(rows)

    @property
    def is_inside(self) -> bool:
        """Whether the rules being compiled are those of a segment within."""
        return bool(self._inside)

    def once(self, load: Callable[[Workspace], Thing], key: str) -> Thing:
        """What `load` gives of the workspace, asked for once."""
        if key not in self._held:
            self._held[key] = load(self.workspace)
        held: Thing = self._held[key]
        return held

    def resolve(self, rule: Rule) -> tuple[Condition, Operator, Any]:
        """What the rule is about, its operator and its values, typed.

        Raises: Broken: an unknown condition, operator or thing, or a value of another type.
        """
        condition = self.conditions.get(rule.subject)
        if condition is None:
            name = rule.subject.removeprefix("attribute:")[:60]
            raise Broken(f"The field “{name}” was deleted or never existed; choose another one.")
        operator = condition.operators.get(rule.operator)
        if operator is None:
            raise Broken(f"“{condition.label}” cannot be compared in this way; choose how.")
        return condition, operator, operator.read(rule.value, self)

    # --- As SQL ---------------------------------------------------------------------------------------

    def compile(self, rules: Any) -> Q:
        """One condition over Contact. Raises: Broken: a part of it makes no sense, so that all of it finds nobody."""
        try:
            group = read(rules)
        except RulesProblem as problem:
            raise Broken(problem.message) from None
        if not self._inside:
            self._compiled_count = 0
        return self._compile(group)

    def compile_inside(self, segment: Segment) -> Q:
        """The rules of a segment that another one speaks of. Raises: Broken."""
        if segment.pk in self._inside or segment.pk == self.edited:
            raise Broken(f"“{segment.name}” would be within itself.")
        if len(self._inside) + 1 >= INSIDE_LIMIT:
            raise Broken(f"Segments go at most {INSIDE_LIMIT} deep into each other.")
        self._inside.append(segment.pk)
        try:
            return self.compile(segment.rules)
        except Broken as problem:
            raise Broken(f"In the segment “{segment.name}”: {problem}") from None
        finally:
            self._inside.pop()

    def _compile(self, group: Group) -> Q:
        if not group.rules:
            raise Broken("A group without rules matches nobody.")
        parts = [self._compile(each) if isinstance(each, Group) else self._rule(each) for each in group.rules]
        found = Q(*parts, _connector=Q.AND if group.join == "and" else Q.OR)
        return ~found if group.join == "none" else found

    def _rule(self, rule: Rule) -> Q:
        self._compiled_count += 1
        if self._compiled_count > COMPILED_LIMIT:
            raise Broken(f"Together with the segments in it, it has more than {COMPILED_LIMIT} rules.")
        condition, _operator, value = self.resolve(rule)
        return condition.compile(rule.operator, value, self)

    # --- In words -------------------------------------------------------------------------------------

    def problem(self, rules: Any) -> str:
        """Why the rules find nobody, in words; "" where they make sense. Cost: as compiling them."""
        try:
            self.compile(rules)
        except Broken as problem:
            return str(problem)
        return ""

    def in_words(self, rule: Rule) -> str:
        try:
            condition, operator, value = self.resolve(rule)
        except Broken as problem:
            return f"[{problem} {UNTIL_THEN}]"
        return condition.in_words(operator, value, self)

    # --- As they are stored ---------------------------------------------------------------------------

    def checked(self, group: Group) -> dict[str, Any]:
        """The rules as they are stored, their values typed.

        Raises: RulesProblem: no rule, an empty group, or a rule that makes no sense here.
        """
        stored = self._checked_group(group)
        if problem := self.problem(stored):
            raise RulesProblem(problem)
        return stored

    def _checked_group(self, group: Group) -> dict[str, Any]:
        if not group.rules:
            raise RulesProblem("Add at least one rule; a group without rules matches nobody.")
        return {"join": group.join, "rules": [self._checked(each) for each in group.rules]}

    def _checked(self, each: Rule | Group) -> dict[str, Any]:
        if isinstance(each, Group):
            return self._checked_group(each)
        try:
            _condition, operator, value = self.resolve(each)
        except Broken as problem:
            raise RulesProblem(str(problem)) from None
        return {"subject": each.subject, "operator": each.operator, "value": operator.stored(value)}
