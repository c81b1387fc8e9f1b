"""Reading settings from the environment: an unknown word is refused loudly, a secret may come from a file."""

import os
from pathlib import Path

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    """The variable, or the contents of the file that NAME_FILE names."""
    file = os.environ.get(f"{name}_FILE")
    return Path(file).read_text().strip() if file else os.environ.get(name, default)


def flag(name: str, *, default: bool) -> bool:
    word = os.environ.get(name)
    if word is None:
        return default
    if word.lower() not in TRUE | FALSE:
        raise ValueError(f"{name}={word!r}: use one of {', '.join(sorted(TRUE | FALSE - {''}))}.")
    return word.lower() in TRUE


def number(name: str, default: int) -> int:
    return int(os.environ.get(name, default))
