"""The condition that somebody is in another segment, whose rules are then compiled in its place."""

from typing import Any, ClassVar

from django.db.models import OuterRef, Q

from contacts.models import SegmentMember
from contacts.segments.condition import Condition, Operator
from contacts.segments.inputs import Broken, Choices, One


def segments(vocabulary: Any) -> Choices:
    """All but the one whose rules these are; the rules of one within them may still name it, and are refused then."""
    left_out = None if vocabulary.is_inside else vocabulary.edited
    return {pk: each.name for pk, each in vocabulary.segments.items() if pk != left_out}


class InSegment(Condition):
    group = "Segments"
    ONE: ClassVar = (One(label="Segment", choices=segments, thing="segment"),)
    operators = {"in": Operator("is in", ONE), "not_in": Operator("is not in", ONE)}

    def compile(self, operator: str, value: Any, vocabulary: Any) -> Q:
        segment = vocabulary.segments[value]
        if segment.is_snapshot:
            if segment.taken_at is None:
                raise Broken(f"The snapshot “{segment.name}” is still being taken; wait a moment.")
            members = SegmentMember.objects.filter(segment=value, contact=OuterRef("pk"))
            found = vocabulary.has(members)
        else:
            found = vocabulary.compile_inside(segment)
        return found if operator == "in" else ~found

    def in_words(self, operator: Operator, value: Any, vocabulary: Any) -> str:
        return f"{operator.label} the segment “{vocabulary.segments[value].name}”"


def conditions(vocabulary: Any) -> list[Condition]:
    return [InSegment("segment", "Segment")]
