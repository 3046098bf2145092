"""Elements of other packages: a transition function more, in both engines.

A package offers an `ElementKind` by an entry point of the group ``takttwin.elements``; a plant file then
names it under ``elements``. Its module holds two plain functions over the flat columns of
``twin.line.schema``, written like those of ``twin.line.transitions``:

``fire(e, pending, now, f, i, c, k, journal)``
    what was due at the element happens;
``look(e, now, f, i, c, k, journal)``
    something near it has changed: a part has come before it, room behind it, or it was touched.

``due(e, now, f, i, c, k)``, if a twin is to come to a running line that has such an element:
    when what comes next is due and which it is, ``(due_s, pending)``, given what the element shows: its
    state, since when, its part and its own columns. ``(inf, NOTHING)`` if it waits. Time that is up is
    told as it is. Sets what else follows from it, such as its power, in its own columns alone. Plain Python,
    called outside of engines. Own columns are told as numbers: they must hold neither places of parts nor
    points in time, and the element one part at most.

They may call what ``twin.line.flow``, ``luck``, ``states`` and ``hooks`` offer (`take`, `put`, `has_room`,
`level`, `touch`, `enter`, `schedule`, `record`), and must use floats and integers only: no lists, no
dictionaries, no generators, nothing that cannot be saved in a state. Each calls ``schedule`` whenever
what is due has happened. Own float columns begin at ``k[ELEMENTS_K + e * EK + OWN_F]``, own parameters
in ``c`` at ``k[ELEMENTS_K + e * EK + P_C]``. `twin.line.check.check_element` says whether one holds its
contract; docs/how-to/your-own-element.md has a worked example.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from types import ModuleType
from typing import Final

from twin.processes.model import Quantity

GROUP: Final = "takttwin.elements"
LIST_COUNTS: Final = (".component_count", ".rework_count", ".on_belt_count", ".in_hand_count")
"""Ends of the names of signals that count a list, see ``twin.line.element_tags``."""


class ElementError(ValueError):
    """A kind of element that does not exist, or does not hold its contract; the message says what."""


@dataclass(frozen=True, slots=True)
class ElementKind:
    """What a package declares of its element.

    ``columns`` names its own floats in the state, all 0.0 in the beginning; ``places`` is how many
    parts it can hold beside those in buffers.
    """

    name: str
    module: ModuleType
    parameters: tuple[Quantity, ...] = ()
    columns: tuple[str, ...] = ()
    places: int = 1

    @property
    def due(self) -> Callable[..., tuple[float, int]] | None:
        """What is due next, for a twin that comes to a running line; none if the module has it not."""
        found: Callable[..., tuple[float, int]] | None = getattr(self.module, "due", None)
        return found

    def __post_init__(self) -> None:
        """Refuse a module without the two functions, and a column that goes by the name of another tag."""
        for function in ("fire", "look"):
            if not callable(getattr(self.module, function, None)):
                raise ElementError(f"element {self.name!r}: its module has no function {function}")
        ends = {"state", "state_since_s", "part_id", "level", *(end[1:] for end in LIST_COUNTS)}
        if taken := ends & set(self.columns):
            raise ElementError(
                f"element {self.name!r}: {taken} names another tag; rename the column"
            )
        if self.due is not None and not callable(self.due):
            raise ElementError(f"element {self.name!r}: its `due` is no function")
        if self.places < 0:
            raise ElementError(f"element {self.name!r} cannot hold {self.places} parts")


def load_element(name: str) -> ElementKind:
    """The kind of that name. Raises ``ElementError`` if no installed package offers it."""
    points = tuple(entry_points(group=GROUP))
    for point in points:
        if point.name == name:
            try:
                found = point.load()
            except Exception as error:
                package = point.dist.name if point.dist is not None else "a package"
                msg = f"the element {name!r} of {package} cannot be imported: {error}"
                raise ElementError(msg) from error
            found = getattr(found, "ELEMENT", found)
            if isinstance(found, ElementKind):
                return found
            raise ElementError(f"the entry point {name!r} names no ElementKind but {found!r}")
    known = ", ".join(sorted(point.name for point in points)) or "none"
    raise ElementError(f"no installed package offers an element {name!r}; offered: {known}")
