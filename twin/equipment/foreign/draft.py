"""A mapping file drafted from what a server shows: guesses with their scores, the unknown left open.

Nothing is invented: a signal without a likely node stands in a comment, and so does a node that no
signal was found for. Nobody can run a loop by a draft before a person has looked at each guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args
from uuid import UUID

from asyncua import ua

from twin.config.mapping import WriteType
from twin.equipment.address_space import PACKML, part_id_paths
from twin.equipment.foreign.inventory import Item
from twin.equipment.foreign.matching import LEAST, OF_ALL, Guess, assigned, to_write, words
from twin.equipment.foreign.translation import vocabulary
from twin.line import schema as s
from twin.printable import printable
from twin.signals import Role, Signal

_HANDSHAKE = {
    "heartbeat": ({"heartbeat", "alive", "lifebit", "lifesign"}, "variable"),
    "sequence": ({"sequence", "seq"}, "variable"),
    "request_remote": ({"request", "remote"}, "method"),
    "release_remote": ({"release", "remote"}, "method"),
    "reset_shed": ({"reset", "shed"}, "method"),
}
"""Words of a part of the handshake, and what it mostly is."""
_TYPES = frozenset(get_args(WriteType))
_SHOWN = 300
"""So many nodes without a signal are listed."""


@dataclass(slots=True)
class Draft:
    """Entries of a mapping file by name, and what is said beside them."""

    plant: str
    namespaces: Mapping[str, str]
    application_uri: str
    signals: dict[str, dict[str, Any]] = field(default_factory=dict)
    lists: dict[str, dict[str, Any]] = field(default_factory=dict)
    handshake: dict[str, dict[str, Any]] = field(default_factory=dict)
    beside: dict[str, str] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The file."""
        lines = ["schema_version: 1", f"plant: {self.plant}", "server:", "  namespaces:"]
        lines += [f"    {word}: {json.dumps(uri)}" for word, uri in self.namespaces.items()]
        if self.application_uri:
            lines.append(f"  application_uri: {json.dumps(self.application_uri)}")
        lines += ["", "# Guesses: look at each, then delete its guess. No loop runs by one."]
        for title, entries in (("signals", self.signals), ("lists", self.lists)):
            if entries or title == "signals":
                lines += [f"{title}:" if entries else f"{title}: {{}}", *self._entries(entries)]
        lines += ["handshake:" if self.handshake else "handshake: {}"]
        lines += self._entries(self.handshake)
        if self.open:
            lines += [
                "",
                "# Open: nothing was found that is likely. Bind them, or say under absent:",
            ]
            lines += [
                "#   - {signals: NAME or PATTERN, why: …}; a part of the handshake: {absent: why}"
            ]
            lines += [_comment(f"  {name}: {why}") for name, why in self.open.items()]
        if self.unused:
            lines += ["", "# Nodes of the server that no signal was found for:"]
            lines += [_comment(f"  {text}") for text in self.unused]
        return "\n".join(lines) + "\n"

    def _entries(self, entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
        found = []
        for name, entry in entries.items():
            beside = f"  {_comment(self.beside[name])}" if name in self.beside else ""
            found.append(f"  {name}: {_flow(entry)}{beside}")
        return found


def draft(
    plant: str,
    signals: Sequence[Signal],
    items: Sequence[Item],
    uris: Sequence[str],
    application_uri: str,
) -> Draft:
    """The draft for a plant from the inventory of a server with these namespaces."""
    word = _namespace_words(uris, items)
    made = Draft(plant, {w: uris[n] for n, w in word.items() if n}, application_uri)
    entities = _entities(signals)
    used: set[ua.NodeId] = set()
    guesses, made.open = assigned(signals, items, entities)
    for signal in signals:
        if signal.name not in guesses:
            continue
        guess = guesses[signal.name]
        entry, more = _entry(signal, guess, items, entities, word)
        made.signals[signal.name] = entry
        made.beside[signal.name] = _described(guess.item)
        used |= {guess.item.live.id, *more}
    for name in part_id_paths(signals):
        listed = [i for i in items if i.live.is_array and _is_list_of(name, i)]
        if len(listed) == 1:
            made.lists[name] = {"node": _address(listed[0], word), "guess": LEAST}
            made.beside[name] = _described(listed[0])
            used.add(listed[0].live.id)
    for name, (wanted, kind) in _HANDSHAKE.items():
        part = _part(wanted, kind, items, word)
        if part is None:
            made.open[f"handshake.{name}"] = f"no {kind} called like {' '.join(sorted(wanted))}"
            continue
        made.handshake[name], item = part
        made.beside[name] = _described(item)
        used.add(item.live.id)
    left = [item for item in items if item.live.id not in used and item.live.id.NamespaceIndex]
    made.unused = [f"{_address(item, word)}  {_described(item)}" for item in left[:_SHOWN]]
    if len(left) > _SHOWN:
        made.unused.append(f"… and {len(left) - _SHOWN} more")
    return made


def _entry(
    signal: Signal,
    guess: Guess,
    items: Sequence[Item],
    entities: Sequence[str],
    word: Mapping[int, str],
) -> tuple[dict[str, Any], set[ua.NodeId]]:
    """One signal bound to the node that was guessed, and the other nodes that this uses."""
    item = guess.item
    entry: dict[str, Any] = {"node": _address(item, word)}
    if item.unit and item.unit != signal.unit:
        entry["unit"] = item.unit
    if item.words and (known := _words(signal, item.words)):
        entry["words"] = known
    used: set[ua.NodeId] = set()
    if signal.role is Role.MV:
        to = to_write(item, items, signal, entities)
        if to is not None:
            entry["write"] = {"node": _address(to, word)}
            if to.live.type in _TYPES:
                entry["write"]["type"] = to.live.type
            used.add(to.live.id)
        elif (methods := _pause(signal, items)) is not None:
            start, end = methods
            entry["pause"] = {
                "of": {"node": address(start.parent, word)},
                "start": {"node": _address(start, word)},
                "end": {"node": _address(end, word)},
            }
            used |= {start.live.id, end.live.id}
    entry["guess"] = round(guess.score, 2)
    return entry, used


def _is_list_of(name: str, item: Item) -> bool:
    """Whether an array is called like the part numbers of a buffer or station."""
    has_name = " ".join(words(name)) in " ".join(words(item.text))
    return has_name and {"op", "id"} <= set(words(item.path[-1][1]))


def _pause(signal: Signal, items: Iterable[Item]) -> tuple[Item, Item] | None:
    """The methods of OPC 34100 at the machine of a standby signal, if it has them."""
    entity, _, quantity = signal.name.partition(".")
    if quantity != "standby":
        return None
    methods = {
        item.live.name: item
        for item in items
        if item.live.is_method and " ".join(words(entity)) in " ".join(words(item.text))
    }
    start, end = methods.get("StartPause"), methods.get("EndPause")
    if start is None or end is None or start.parent != end.parent:
        return None
    return start, end


def _words(signal: Signal, told: Sequence[str]) -> dict[str, str]:
    """What the names of a code mean, as far as they are our own words or those of PackML."""
    known = vocabulary(signal.name)
    packml: dict[str, set[str]] = {}
    for code, name in enumerate(PACKML):
        packml.setdefault(name.lower(), set()).add(s.STATES[code])
    found = {}
    for code, name in enumerate(told):
        plain = "_".join(words(name))
        if plain in known:
            found[str(code)] = plain
        elif signal.name.endswith(".state") and len(packml.get(plain, ())) == 1:
            (found[str(code)],) = packml[plain]
    return found


def _part(
    wanted: set[str], kind: str, items: Iterable[Item], word: Mapping[int, str]
) -> tuple[dict[str, Any], Item] | None:
    """The one node whose name has all words of a part of the handshake."""
    if kind == "variable":
        found = [i for i in items if i.live.writable and wanted & set(words(i.path[-1][1]))]
    else:
        found = [i for i in items if wanted <= set(words(i.path[-1][1]))]
        found = [i for i in found if i.live.is_method or i.live.writable]
    if len(found) != 1:
        return None
    (item,) = found
    if item.live.is_method:
        of = {"node": address(item.parent, word)}
        return {"call": {"node": _address(item, word)}, "of": of, "guess": LEAST}, item
    entry: dict[str, Any] = {"node": _address(item, word)}
    if item.live.type in _TYPES:
        entry["type"] = item.live.type
    return {**entry, "guess": LEAST}, item


def address(node: ua.NodeId, word: Mapping[int, str]) -> str:
    """A node id as a mapping file writes it."""
    identifier: Any = node.Identifier
    kinds = ((bytes, "b"), (UUID, "g"), (str, "s"))
    kind = next((letter for type_, letter in kinds if isinstance(identifier, type_)), "i")
    name = identifier.hex() if isinstance(identifier, bytes) else str(identifier)
    prefix = f"{word[node.NamespaceIndex]}:" if node.NamespaceIndex else ""
    return f"{prefix}{kind}={name}"


def _address(item: Item, word: Mapping[int, str]) -> str:
    return address(item.live.id, word)


def _described(item: Item) -> str:
    """What the server says of a node."""
    live = item.live
    if live.is_method:
        return f"{item.text}: method"
    said = [live.type + ("[]" if live.is_array else ""), item.said_unit]
    said.append("" if item.limits is None else f"[{item.limits.lo:g}, {item.limits.hi:g}]")
    said.append(("r" if live.readable else "") + ("w" if live.writable else ""))
    return f"{item.text}: {', '.join(word for word in said if word)}"


def _entities(signals: Sequence[Signal]) -> tuple[str, ...]:
    """Stations, buffers and what else has signals of its own."""
    names = dict.fromkeys(signal.name.partition(".")[0] for signal in signals)
    return tuple(name for name in names if name not in OF_ALL)


def _namespace_words(uris: Sequence[str], items: Sequence[Item]) -> dict[int, str]:
    """A short word for each namespace that the nodes use."""
    found: dict[int, str] = {}
    for index in sorted({item.live.id.NamespaceIndex for item in items} - {0}):
        last = re.sub(r"[^a-z0-9]+", "_", uris[index].lower()).strip("_").split("_")[-1]
        name = last if re.fullmatch(r"[a-z][a-z0-9_]{0,39}", last) else f"ns{index}"
        found[index] = name if name not in found.values() else f"ns{index}"
    return found


def _comment(text: str) -> str:
    """What stands beside the entries: names are the server's, and none may begin a line of the file."""
    return f"# {printable(text)}"


def _flow(entry: Mapping[str, Any]) -> str:
    """A mapping on one line of YAML."""
    parts = []
    for key, value in entry.items():
        shown = _flow(value) if isinstance(value, dict) else json.dumps(value)
        parts.append(f"{json.dumps(key) if not key.isidentifier() else key}: {shown}")
    return "{" + ", ".join(parts) + "}"
