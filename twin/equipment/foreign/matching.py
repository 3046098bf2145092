"""Which node of a server a signal may be: a score by names, unit, range, type and access.

A guess is drafted only where it is good and no other node is nearly as good. The weights are an
assumption; a draft says the score beside each guess, and a person looks at it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from asyncua import ua

from twin.equipment.foreign.inventory import Item
from twin.equipment.units import conversion
from twin.signals import Role, Signal

LEAST = 0.6
"""What scores less is not guessed."""
MARGIN = 0.05
"""A guess must be better than the next node by this much."""
_WEIGHTS = {"entity": 0.4, "quantity": 0.4, "unit": 0.1, "access": 0.1}
_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_MEANT = {
    "temp": ("temperature",),
    "power": ("pwr",),
    "count": ("cnt", "counter", "qty", "number", "nr"),
    "speed": ("spd", "velocity"),
    "state": ("status",),
    "feed": ("feedrate",),
    "energy": ("consumption",),
    "order": ("ordered",),
    "press": ("pressure",),
    "standby": ("pause", "sleep"),
    "op": ("part", "parts", "piece", "pieces", "processed", "produced"),
    "id": ("ids",),
}
_SAME = {word: meant for meant, others in _MEANT.items() for word in others}
"""Words that mean the same on a shop floor."""
_FILLERS = {
    *("value", "current", "actual", "active", "total", "process", "status", "admin", "energy"),
    *("setpoints", "setpoint", "request", "stations", "buffers", "environment", "data", "tags"),
}
"""Words that stand on the way to a node and tell little of what it is."""
OF_ALL = ("line", "env", "control")
"""What belongs to no station or buffer: names that a server need not say."""
_GENERIC = {"count", "time", "last", "since", "id", "level"}
"""Words that many names end with: of less weight than what is counted or timed."""
_UNITS = {
    "kw",
    "kwh",
    "s",
    "mm",
    "um",
    "c",
    "mpa",
    "bar",
    "per",
    "min",
    "m",
    "kg",
    "us",
    "mwh",
    "eur",
}
ASKS = {"request", "setpoint", "sp", "set", "target", "demand", "command", "cmd", "reference"}
SHOWS = {"active", "actual", "act", "pv", "current", "echo", "feedback"}


@dataclass(frozen=True, slots=True)
class Guess:
    """A node for a signal, and how sure that is, from 0 to 1."""

    item: Item
    score: float


@cache
def words(text: str) -> tuple[str, ...]:
    """The words of a name in any of the usual spellings, synonyms made one."""
    found = [part.lower() for part in _PARTS.findall(text)]
    return tuple(_SAME.get(word, word) for word in found)


def assigned(
    signals: Sequence[Signal], items: Sequence[Item], entities: Sequence[str]
) -> tuple[dict[str, Guess], dict[str, str]]:
    """A node for each signal that one is likely for, and for the others why there is none.

    The best pair of all is settled first, and a node that is settled is no other signal's. Where two
    nodes fit a signal as well, or two signals a node, nothing is settled. ``entities`` are all stations
    and buffers of the plant: a node below another one is not meant.
    """
    ranked = {signal.name: _ranked(signal, items, entities) for signal in signals}
    found: dict[str, Guess] = {}
    open_: dict[str, str] = {}
    taken: set[ua.NodeId] = set()
    while len(found) + len(open_) < len(ranked):
        firsts: dict[str, list[Guess]] = {}
        for name in ranked.keys() - found.keys() - open_.keys():
            free = [guess for guess in ranked[name] if guess.item.live.id not in taken]
            if free:
                firsts[name] = free
            else:
                open_[name] = "no node is likely"
        if not firsts:
            break
        name = min(firsts, key=lambda one: (-firsts[one][0].score, one))
        guess, *others = firsts[name]
        equals = [other for other in others if guess.score - other.score < MARGIN]
        rivals = [
            rival
            for rival, (first, *_) in sorted(firsts.items())
            if first.item is guess.item and guess.score - first.score < MARGIN
        ]
        if equals:
            told = ", ".join(f"{one.item.text} ({one.score:.2f})" for one in (guess, *equals[:2]))
            open_[name] = f"not told apart: {told}"
        elif len(rivals) > 1:
            why = f"{guess.item.text} ({guess.score:.2f}) may also be "
            for rival in rivals:
                open_[rival] = why + ", ".join(other for other in rivals if other != rival)
        else:
            found[name] = guess
            taken.add(guess.item.live.id)
    order = [signal.name for signal in signals]
    return (
        {name: found[name] for name in order if name in found},
        {name: open_[name] for name in order if name in open_},
    )


def _ranked(signal: Signal, items: Iterable[Item], entities: Sequence[str]) -> list[Guess]:
    """The nodes that are likely for a signal, the best first."""
    scored = [Guess(item, score(signal, item, entities)) for item in items]
    likely = [guess for guess in scored if guess.score >= LEAST]
    return sorted(likely, key=lambda guess: (-guess.score, guess.item.path))


def score(signal: Signal, item: Item, entities: Sequence[str]) -> float:
    """How well a node fits a signal: 0 where it cannot be it."""
    entity, _, quantity = signal.name.partition(".")
    path = words(item.text)
    if item.live.is_method or item.live.is_array or not item.live.readable:
        return 0.0
    others = [other for other in entities if other != entity and _holds(path, words(other))]
    if others and (entity in OF_ALL or not _holds(path, words(entity))):
        return 0.0
    if item.unit and conversion(item.unit, signal.unit) is None:
        return 0.0
    if signal.role is not Role.MV and item.live.writable and set(path) & ASKS:
        return 0.0
    fits = {
        "entity": 1.0 if _holds(path, words(entity)) else 0.3 if entity in OF_ALL else 0.0,
        "quantity": _likeness(quantity, item),
        "unit": 1.0 if item.unit else 0.5 if signal.unit == "1" else 0.0,
        "access": _access(signal, item),
    }
    if fits["entity"] == 0.0 or fits["quantity"] == 0.0:
        return 0.0
    return sum(_WEIGHTS[name] * fit for name, fit in fits.items())


def _likeness(quantity: str, item: Item) -> float:
    """The share of words that a quantity and the end of a node's path have in common."""
    wanted = [word for word in words(quantity) if word not in _UNITS]
    ends = [words(name) for _, name in item.path[-2:]]
    last, both = ends[-1], [word for end in ends for word in end]
    if not wanted:
        wanted = list(words(quantity))
    weight = {word: 0.3 if word in _GENERIC else 1.0 for word in wanted}
    found = sum(weight[word] for word in wanted if word in both)
    tells_little = _FILLERS | _UNITS | ASKS | SHOWS
    extra = [word for word in last if word not in wanted and word not in tells_little]
    at_the_end = 1.0 if any(word in last for word in wanted) else 0.8
    return at_the_end * found / (sum(weight.values()) + 0.5 * len(extra))


def _access(signal: Signal, item: Item) -> float:
    """A value in force is not writable, and what is asked is."""
    if signal.role is not Role.MV:
        return 0.0 if item.live.writable else 1.0
    asks = bool(set(words(item.text)) & ASKS) and item.live.writable
    return 0.0 if asks else 1.0


def to_write(
    item: Item, items: Iterable[Item], signal: Signal, entities: Sequence[str]
) -> Item | None:
    """Where a setpoint is asked for, given where it is shown: the writable node most like it."""
    own = set(words(item.text)) - SHOWS
    ranked = []
    for other in items:
        if not other.live.writable or other.live.is_array or score(signal, other, entities) <= 0.0:
            continue
        theirs = set(words(other.text)) - ASKS
        ranked.append((len(own & theirs) / len(own | theirs), other))
    ranked.sort(key=lambda pair: (-pair[0], pair[1].path))
    if not ranked or ranked[0][0] < LEAST:
        return None
    if len(ranked) > 1 and ranked[0][0] - ranked[1][0] < MARGIN:
        return None
    return ranked[0][1]


def _holds(path: Sequence[str], name: Sequence[str]) -> bool:
    """Whether a path has the words of a name side by side."""
    n = len(name)
    return any(tuple(path[at : at + n]) == tuple(name) for at in range(len(path) - n + 1))
