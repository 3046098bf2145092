"""Which lines a twin can be put in step with by what they show, and which it cannot."""

from __future__ import annotations

from twin.line.model import Line


class UnseenError(ValueError):
    """A line with elements whose state no reading tells enough of; the message names them."""


def unseen(line: Line) -> list[str]:
    """Elements of other packages that do not show enough: no `due`, or more parts than the one that is told."""
    custom = [(element.name, element.custom) for element in line.elements if element.custom]
    return [
        f"element {name} ({kind.name})"
        for name, kind in custom
        if kind.due is None or kind.places > 1
    ]


def refuse_unseen(line: Line) -> None:
    """Raise ``UnseenError`` for a line that has such elements."""
    if told := ", ".join(unseen(line)):
        raise UnseenError(
            f"no twin can be put in step with {told}: its package has to offer `due`, for one part at most,"
            " see twin.line.custom"
        )
