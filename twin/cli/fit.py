"""Tables that fit a screen: columns for which there is no room go below, and nothing in them is cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NOTHING = "–"
_ANY_WIDTH = 10_000


def fitting(screen: Console, title: str, columns: Mapping[str, Sequence[str]]) -> Iterator[Table]:
    """As few tables as hold all columns, in their order, each table with the first one before the others.

    A column is as wide as its texts and the longest word of its title; one that says nothing of anybody is
    left out. A screen too narrow for two columns is taken to be wider: its lines wrap there, whole.
    """
    first, *others = columns
    others = [name for name in others if set(columns[name]) != {NOTHING}]
    while others:
        n = len(others)
        while n > 1 and _width(screen, _table("", columns, (first, *others[:n]))) > screen.width:
            n -= 1
        table = _table(title, columns, (first, *others[:n]))
        screen.width = max(screen.width, _width(screen, table))
        yield table
        title, others = "", others[n:]


def _table(title: str, columns: Mapping[str, Sequence[str]], names: Sequence[str]) -> Table:
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left")
    for n, name in enumerate(names):
        width = max(map(cell_len, (*columns[name], *name.split())))
        table.add_column(name, justify="right" if n else "left", width=width)
    for row in zip(*(columns[name] for name in names), strict=True):
        table.add_row(*map(Text, row))  # plain: what stands in [ ] is an interval
    return table


def _width(screen: Console, table: Table) -> int:
    return screen.measure(table, options=screen.options.update(width=_ANY_WIDTH)).maximum
