"""What the builder's buttons do to the rules before they are drawn anew: add, remove, move."""

import re
from typing import Any, Final

from contacts.forms.segments import NEW_RULE, Rules
from contacts.segments.rules import DEPTH_LIMIT

PATH: Final = re.compile(rf"(\d{{1,3}}(\.\d{{1,3}}){{0,{DEPTH_LIMIT - 1}}})?", re.ASCII)
Path = list[int]


def edited(rules: Rules, deed: str) -> str:
    """Change the rules as the pressed button says: "add-rule:0.1", "add-group:", "remove:0", "up:1", "down:1".

    Returns: the id of the element to go on from; "" where nothing changed, as by a button of a page older than the
    rules.
    """
    verb, _, path = deed.partition(":")
    if not PATH.fullmatch(path):
        return ""
    steps = [int(step) for step in path.split(".") if step]
    try:
        match verb:
            case "add-rule":
                return _add(rules, steps, dict(NEW_RULE))
            case "add-group" if len(steps) < DEPTH_LIMIT - 1:
                return _add(rules, steps, {"join": "or", "rules": [dict(NEW_RULE)]})
            case "remove" if steps:
                del _at(rules, steps[:-1])["rules"][steps[-1]]
                return f"group-{_path(steps[:-1])}-add"
            case "up" | "down" if steps:
                return _move(rules, steps, -1 if verb == "up" else 1)
    except (IndexError, KeyError):
        pass
    return ""


def _add(rules: Rules, steps: Path, new: Rules) -> str:
    held = _at(rules, steps)["rules"]
    held.append(new)
    return f"rule-{_path([*steps, len(held) - 1, *([0] if 'rules' in new else [])])}-subject"


def _move(rules: Rules, steps: Path, way: int) -> str:
    """Past its neighbour, into it where that is a group, or out of the group at its end: so it gets everywhere."""
    group, place = _at(rules, steps[:-1])["rules"], steps[-1]
    moved = group[place]
    beside = place + way
    if 0 <= beside < len(group):
        into = group[beside]
        if "rules" in into and len(steps) + _depth(moved) < DEPTH_LIMIT + ("rules" not in moved):
            del group[place]
            end = len(into["rules"]) if way < 0 else 0
            into["rules"].insert(end, moved)
            return _focus([*steps[:-1], min(place, beside), end], moved)
        group[place], group[beside] = group[beside], group[place]
        return _focus([*steps[:-1], beside], moved)
    if len(steps) == 1:
        return ""
    del group[place]
    outside = steps[-2] + (way > 0)
    _at(rules, steps[:-2])["rules"].insert(outside, moved)
    return _focus([*steps[:-2], outside], moved)


def _depth(part: Rules) -> int:
    """Groups within groups, itself counted; 0 of a rule."""
    return 1 + max((_depth(each) for each in part["rules"]), default=0) if "rules" in part else 0


def _at(rules: Rules, steps: Path) -> Rules:
    for step in steps:
        rules = rules["rules"][step]
    return rules


def _focus(steps: Path, part: Any) -> str:
    return f"group-{_path(steps)}-join" if "rules" in part else f"rule-{_path(steps)}-subject"


def _path(steps: Path) -> str:
    return ".".join(map(str, steps))
