"""Text from outside, on its way into the database."""


def storable(text: str, limit: int) -> str:
    """At most so many characters of what PostgreSQL takes as text: it takes neither NUL nor half a surrogate pair."""
    if text.isascii() and "\0" not in text:
        return text[:limit]
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:limit]
