"""Bytes to lines of text, block by block: memory stays flat whatever the file holds."""

import codecs
import io
import re
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO, Final

BLOCK_BYTES: Final = 256 * 1024
LINE_LIMIT: Final = 1_000_000  # characters; of a longer line no more is kept
_LINE_END: Final = re.compile("[\r\n]")


def _mark_unreadable(error: UnicodeError) -> tuple[str, int]:
    """A lone surrogate, which no text holds, stands where bytes are not of the encoding."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


codecs.register_error("volley.unreadable", _mark_unreadable)


def blocks(raw: BinaryIO, encoding: str) -> Iterator[list[str]]:
    """Lists of lines with their ends, from the file's start; a line over LINE_LIMIT is cut a little after it."""
    raw.seek(0)
    codec = codec_of(raw, encoding)
    decoder = codecs.getincrementaldecoder(codec)(errors="volley.unreadable")
    rest, is_cut = "", False
    for block in iter(partial(raw.read, BLOCK_BYTES), b""):
        text = decoder.decode(block)
        if is_cut:  # go on where the long line ends
            end = _LINE_END.search(text)
            if end is None:
                continue
            text = text[end.start() :]
        lines, rest = _split(rest + text)
        is_cut = len(rest) > LINE_LIMIT and not rest.endswith("\r")
        rest = rest[: LINE_LIMIT + 1] if is_cut else rest
        if lines:
            yield lines
    last, rest = _split(rest + decoder.decode(b"", final=True))
    if last := [*last, *([rest] if rest else [])]:
        yield last


def _split(text: str) -> tuple[list[str], str]:
    """The whole lines, and what is not known to be one: a CR at the end may be half of a CR LF."""
    lines = io.StringIO(text, newline="").readlines()
    rest = lines.pop() if lines and not lines[-1].endswith("\n") else ""
    return lines, rest


def codec_of(raw: BinaryIO, encoding: str) -> str:
    """The codec for the encoding, the file placed after its mark where it has one."""
    if encoding != "utf-16":
        return encoding
    head = raw.read(4096)
    is_marked = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    raw.seek(2 if is_marked else 0)
    return utf16_of(head) or "utf-16-le"


def utf16_of(head: bytes) -> str:
    """The byte order of a file that begins so, "" when it is not UTF-16.

    Without a mark, it is by the zeros beside the signs of ASCII, which stand in every address and between cells.
    """
    if head.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le"
    if head.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    low, high = head[::2].count(0), head[1::2].count(0)
    many, few = len(head) / 10, len(head) / 200
    if high > many and low <= few:
        return "utf-16-le"
    return "utf-16-be" if low > many and high <= few else ""
