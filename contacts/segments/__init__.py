"""Segments: rules over fields and lists, compiled to one SQL condition with bound parameters.

    {"join": "and", "rules": [{"subject": "attribute:city", "operator": "is", "value": "Berlin"},
                              {"join": "or", "rules": [...]}]}

Whatever the rules hold, nothing here fails: a rule that makes no sense (its field or list was deleted)
matches nobody, and says so in words.
"""

from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import Workspace
from contacts.models import Contact, Segment
from contacts.segments.rules import Group, Rule, RulesProblem, read
from contacts.segments.vocabulary import Broken, Vocabulary

NOBODY = Q(pk__in=[])


def matching(rules: Segment | Any, workspace: Workspace) -> QuerySet[Contact]:
    """The workspace's contacts that match a segment, or rules; composes with any further filter."""
    raw = rules.rules if isinstance(rules, Segment) else rules
    return Contact.objects.of(workspace).filter(condition(raw, workspace))


def condition(rules: Any, workspace: Workspace, *, vocabulary: Vocabulary | None = None) -> Q:
    """One condition over Contact, for `Contact.objects.filter(condition(…))`. No rules match nobody."""
    try:
        group = read(rules)
    except RulesProblem:
        return NOBODY
    return _compile(group, vocabulary or Vocabulary.of(workspace))


def _compile(group: Group, vocabulary: Vocabulary) -> Q:
    if not group.rules:
        return NOBODY
    parts = [
        _compile(each, vocabulary) if isinstance(each, Group) else _compile_rule(each, vocabulary)
        for each in group.rules
    ]
    return Q(*parts, _connector=Q.AND if group.join == "and" else Q.OR)


def _compile_rule(rule: Rule, vocabulary: Vocabulary) -> Q:
    try:
        subject, _operator, value = vocabulary.resolve(rule)
    except Broken:
        return NOBODY
    return subject.condition(rule.operator, value, vocabulary.clock)


def in_words(rules: Any, vocabulary: Vocabulary) -> str:
    """The rules as a sentence reads them: city is “Berlin” and subscribed to News."""
    try:
        group = read(rules)
    except RulesProblem as problem:
        return problem.message
    return _group_in_words(group, vocabulary) or "No rules: nobody matches."


def _group_in_words(group: Group, vocabulary: Vocabulary) -> str:
    parts = [
        f"({_group_in_words(each, vocabulary)})" if isinstance(each, Group) else vocabulary.in_words(each)
        for each in group.rules
    ]
    return f" {group.join} ".join(parts)
