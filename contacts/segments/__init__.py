"""Segments: rules over what is known of contacts, compiled to one SQL condition with bound parameters.

    {"join": "and", "rules": [{"subject": "attribute:city", "operator": "is", "value": "Berlin"},
                              {"join": "none", "rules": [...]}]}

Whatever the rules hold, nothing here fails: where a rule makes no sense (its field or list was deleted), the whole
segment finds nobody and says so in words. Else "none of" such a rule would be everybody.
"""

from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import Workspace
from contacts.models import Contact, Segment
from contacts.segments.inputs import Broken
from contacts.segments.rules import Group, RulesProblem, read
from contacts.segments.vocabulary import Vocabulary

NOBODY = Q(pk__in=[])
JOINS = {"and": (" and ", ""), "or": (" or ", ""), "none": (" or ", "none of: ")}


def matching(rules: Segment | Any, workspace: Workspace) -> QuerySet[Contact]:
    """The workspace's contacts that match a segment, or rules; composes with any further filter."""
    raw = within(rules) if isinstance(rules, Segment) else rules
    return Contact.objects.of(workspace).filter(condition(raw, workspace))


def condition(rules: Any, workspace: Workspace, *, vocabulary: Vocabulary | None = None) -> Q:
    """One condition over Contact, for `Contact.objects.filter(condition(…))`. No rules match nobody."""
    try:
        return (vocabulary or Vocabulary(workspace)).compile(rules)
    except Broken:
        return NOBODY


def within(segment: Segment) -> Any:
    """Rules that find whom the segment holds: its own, or for a snapshot its members."""
    if not segment.is_snapshot:
        return segment.rules
    return {"rules": [{"subject": "segment", "operator": "in", "value": segment.pk}]}


def in_words(rules: Any, vocabulary: Vocabulary) -> str:
    """The rules as a sentence reads them: city is “Berlin” and subscribed to News."""
    try:
        group = read(rules)
    except RulesProblem as problem:
        return problem.message
    words = _group_in_words(group, vocabulary) or "No rules: nobody matches."
    return words[0].upper() + words[1:]


def segment_in_words(segment: Segment, vocabulary: Vocabulary) -> str:
    if not segment.is_snapshot:
        return in_words(segment.rules, vocabulary)
    return f"Snapshot of: {segment.taken_from}"


def _group_in_words(group: Group, vocabulary: Vocabulary) -> str:
    between, before = JOINS[group.join]
    parts = [
        f"({_group_in_words(each, vocabulary)})" if isinstance(each, Group) else vocabulary.in_words(each)
        for each in group.rules
    ]
    return before + between.join(parts) if parts else ""
