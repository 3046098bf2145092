"""Text from outside as one line that a terminal, a record and a file can show as it is.

Names come from clients and servers that nobody here has made: a line break in one would write a line of its
own, an escape sequence would rub out what stands before it, a long one would fill the disk.
"""

from __future__ import annotations


def printable(text: str, longest: int | None = None) -> str:
    """The text, each character that cannot be seen written as its escape; the rest cut off, and shown so.

    ``longest`` counts characters of the text before it is escaped; None: whatever its length.
    """
    cut = text if longest is None or len(text) <= longest else f"{text[:longest]}…"
    if cut.isprintable():
        return cut
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in cut
    )
