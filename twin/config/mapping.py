"""How a foreign server's nodes become the plant's signals: ``X.mapping.yaml`` beside ``X.yaml``.

Every manipulated variable, every critical signal and each part of the handshake is either bound to a
node or said to be absent, with the reason. A draft by ``twin discover`` carries guesses, each with
its score, and leaves out what it could not tell; no loop runs by a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from twin.config.errors import KeyPath, PlantError
from twin.config.values import Document, Name, Positive, Spec
from twin.signals import Role, Signal

ADDRESS = re.compile(r"(?:(?P<word>\w+):)?(?P<kind>[isgb])=(?P<name>.+)")
"""``plc:s=Line1.Power``: the word of a namespace, then the identifier; no word is namespace 0."""
CLOSING_NEEDS = {
    "heartbeat": "by which it would notice that the loop has died",
    "request_remote": "by which it would let itself be controlled, and refuse to be",
}
"""Parts of the handshake without which a loop is for advice alone, unless the file accepts it; and why."""


def _address(text: str) -> str:
    if ADDRESS.fullmatch(text) is None:
        msg = (
            f"{text!r} is no node; write WORD:s=NAME or WORD:i=NUMBER, WORD from server.namespaces"
        )
        raise ValueError(msg)
    return text


def _browse_path(text: str) -> str:
    if not text.startswith("/") or not all(text[1:].split("/")):
        msg = f"{text!r} is no path; write /WORD:NAME/WORD:NAME, from the Objects folder on"
        raise ValueError(msg)
    return text


Address = Annotated[str, AfterValidator(_address)]
BrowsePath = Annotated[str, AfterValidator(_browse_path)]
Scalar = bool | int | float | str
WriteType = Literal[
    "Boolean", "SByte", "Byte", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64",
    "Float", "Double", "String",
]  # fmt: skip


class NodeSpec(Spec):
    """A node, by its address or by its browse path below the Objects folder."""

    node: Address | None = None
    path: BrowsePath | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.node is None) == (self.path is None):
            msg = "name the node once: by node or by path"
            raise ValueError(msg)
        return self

    @property
    def where(self) -> str:
        """The address or path as it stands in the file."""
        return self.node or self.path or ""


class PauseSpec(Spec):
    """The standby methods of OPC 34100 of one machine: the object and how long a pause is asked for."""

    of: NodeSpec
    start: NodeSpec
    end: NodeSpec
    pause_s: Positive = 3600.0


class WriteSpec(NodeSpec):
    """Where a setpoint goes; scaled like its reading unless said otherwise.

    ``words`` are the raw values for the values of a discrete setpoint.
    """

    type: WriteType | None = None
    gain: float | None = None
    offset: float | None = None
    words: dict[str, Scalar] = {}


class SignalSpec(NodeSpec):
    """Where a signal is read, and what the raw value means: value = gain · raw + offset, in ``unit``.

    ``words`` translate raw values, numbers or texts; ``bit`` picks one of a status word. A raw value
    among ``bad_values`` is no measurement. An MV has ``write`` or the methods of ``pause`` beside it.
    """

    unit: str | None = None
    gain: float = 1.0
    offset: float = 0.0
    bit: Annotated[int, Field(ge=0, le=63)] | None = None
    words: dict[str, Scalar] = {}
    bad_values: tuple[float, ...] = ()
    write: WriteSpec | None = None
    pause: PauseSpec | None = None
    guess: Annotated[float, Field(ge=0, le=1)] | None = None
    """How sure ``twin discover`` was; a person deletes it who has looked."""

    @model_validator(mode="after")
    def _scaled(self) -> Self:
        if self.gain == 0.0 or (self.write is not None and self.write.gain == 0.0):
            msg = "gain 0 makes one value of all"
            raise ValueError(msg)
        if self.write is not None and self.pause is not None:
            msg = "a setpoint is written or paused, not both"
            raise ValueError(msg)
        return self


class ListSpec(NodeSpec):
    """Where part numbers are listed: of a buffer oldest first, of a conveyor by place."""

    guess: Annotated[float, Field(ge=0, le=1)] | None = None


class ActSpec(Spec):
    """A part of the handshake: a value written to a node, a method called, or its absence and why.

    ``accepted`` says why a loop may be closed without a part that it should not be closed without.
    """

    node: Address | None = None
    path: BrowsePath | None = None
    type: WriteType | None = None
    value: Scalar | None = None
    call: NodeSpec | None = None
    of: NodeSpec | None = None
    absent: Annotated[str, Field(min_length=1)] | None = None
    accepted: Annotated[str, Field(min_length=1)] | None = None
    guess: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        ways = [self.node, self.path, self.call, self.absent]
        if sum(way is not None for way in ways) != 1:
            msg = "say one of node, path, call and absent"
            raise ValueError(msg)
        if (self.call is None) != (self.of is None):
            msg = "call names the method and of its object: give both"
            raise ValueError(msg)
        if self.accepted is not None and self.absent is None:
            msg = "only what is absent can be accepted"
            raise ValueError(msg)
        return self

    @property
    def target(self) -> NodeSpec | None:
        """The node that is written, if one is."""
        if self.node is None and self.path is None:
            return None
        return NodeSpec(node=self.node, path=self.path)


class HandshakeSpec(Spec):
    """How the PLC knows of us and we ask of it. ``heartbeat`` and ``sequence`` are counters.

    A part that is left out is not decided yet.
    """

    heartbeat: ActSpec | None = None
    sequence: ActSpec | None = None
    request_remote: ActSpec | None = None
    release_remote: ActSpec | None = None
    reset_shed: ActSpec | None = None


class ServerSpec(Spec):
    """Which server it must be, and how it keeps time.

    ``stamps``: an old stamp of a good value means that it has not changed (``change``, as OPC UA
    has it), or that it is old (``sample``). Plant time 0 is the last hour ``energy.starts_at_h`` of
    the plant file before the connection, on a clock ``utc_offset_h`` ahead of UTC.
    """

    namespaces: Annotated[dict[Name, str], Field(min_length=1)]
    application_uri: str | None = None
    stamps: Literal["change", "sample"] = "change"
    utc_offset_h: Annotated[float, Field(ge=-14, le=14)] = 0.0
    readback_s: Positive = 2.0
    """How long the PLC may take to show what was written as what is in force."""


class StatusSpec(Spec):
    """What status codes mean where their own severity is not to be followed."""

    uncertain: Literal["good", "uncertain", "bad"] = "uncertain"
    codes: dict[str, Literal["good", "uncertain", "bad"]] = {}


class AbsentSpec(Spec):
    """Signals, by name or pattern, that the server does not have, and why."""

    signals: Annotated[str, Field(min_length=1)]
    why: Annotated[str, Field(min_length=1)]


class Mapping(Document):
    """One server's nodes as the signals of one plant."""

    schema_version: Literal[1]
    plant: Name
    server: ServerSpec
    status: StatusSpec = StatusSpec()
    signals: dict[str, SignalSpec]
    lists: dict[str, ListSpec] = {}
    handshake: HandshakeSpec = HandshakeSpec()
    absent: tuple[AbsentSpec, ...] = ()

    def check(self, plant: str, signals: Sequence[Signal]) -> None:
        """Names must be the plant's, words of namespaces declared, and what a loop needs decided."""
        if self.plant != plant:
            message = f"this is a mapping for {self.plant!r}, not for {plant!r}"
            raise PlantError(("plant",), message, f"write plant: {plant}, if it is meant")
        known = {signal.name: signal for signal in signals}
        for name, spec in self.signals.items():
            self._check_signal(name, spec, known.get(name))
        for at, entry in enumerate(self.absent):
            if not any(fnmatchcase(name, entry.signals) for name in known):
                message = f"no signal of the plant is called {entry.signals!r}"
                raise PlantError(("absent", at, "signals"), message, "twin check PLANT counts them")
        for name, act in self.acts().items():
            if act.accepted is not None and name not in CLOSING_NEEDS:
                hint = f"of these alone: {', '.join(CLOSING_NEEDS)}"
                message = f"a loop is closed without {name} anyway: nothing is to be accepted"
                raise PlantError(("handshake", name, "accepted"), message, hint)
        for path, node in self.nodes():
            for word in _words(node):
                if word not in self.server.namespaces:
                    hint = f"declared under server.namespaces: {', '.join(self.server.namespaces)}"
                    raise PlantError(path, f"there is no namespace {word!r}", hint)

    def undecided(self, signals: Sequence[Signal]) -> tuple[str, ...]:
        """What the file neither binds nor calls absent: signals, then parts of the handshake."""
        open_signals = [
            s.name for s in signals if s.name not in self.signals and not self.why_absent(s.name)
        ]
        acts = self.acts()
        return (
            *open_signals,
            *(f"handshake.{name}" for name in HandshakeSpec.model_fields if name not in acts),
        )

    def needed(self, signals: Sequence[Signal]) -> tuple[str, ...]:
        """What no loop can run without a word about; a code without words is not decided either."""
        needs = {s.name for s in signals if s.critical or s.role is Role.MV}
        undecided = [
            name
            for name in self.undecided(signals)
            if name in needs or name.startswith(("control.", "handshake."))
        ]
        return (*undecided, *(name for name in self.signals if self.is_wordless(name)))

    def is_wordless(self, name: str) -> bool:
        """Whether a state or the mode is bound without saying what its codes mean."""
        is_code = name.endswith(".state") or name == "control.mode"
        return is_code and name in self.signals and not self.signals[name].words

    def unclosable(self) -> str:
        """Why no loop must be closed on this line; empty if one may, or if the file accepts it."""
        acts = self.acts()
        lacking = [
            f"the PLC has no {name}, {lack}"
            for name, lack in CLOSING_NEEDS.items()
            if (act := acts.get(name)) is None or (act.absent is not None and not act.accepted)
        ]
        return "; ".join(lacking)

    def why_absent(self, name: str) -> str:
        """Why the server does not have a signal; empty if the file does not say that."""
        return next((e.why for e in self.absent if fnmatchcase(name, e.signals)), "")

    def guesses(self) -> dict[str, float]:
        """The entries that nobody has confirmed, with their scores."""
        acts = {f"handshake.{name}": act.guess for name, act in self.acts().items()}
        lists = {f"lists.{name}": spec.guess for name, spec in self.lists.items()}
        found = {name: spec.guess for name, spec in self.signals.items()} | lists | acts
        return {name: guess for name, guess in found.items() if guess is not None}

    def acts(self) -> dict[str, ActSpec]:
        """The parts of the handshake that the file speaks of, by name."""
        parts = {name: getattr(self.handshake, name) for name in HandshakeSpec.model_fields}
        return {name: act for name, act in parts.items() if act is not None}

    def nodes(self) -> Iterator[tuple[KeyPath, NodeSpec]]:
        """Every node that the file names, with its place in the file."""
        for name, spec in self.signals.items():
            yield ("signals", name), spec
            if spec.write is not None:
                yield ("signals", name, "write"), spec.write
            if spec.pause is not None:
                for key in ("of", "start", "end"):
                    yield ("signals", name, "pause", key), getattr(spec.pause, key)
        for name, node in self.lists.items():
            yield ("lists", name), node
        for name, act in self.acts().items():
            for node_of in (act.target, act.call, act.of):
                if node_of is not None:
                    yield ("handshake", name), node_of

    def _check_signal(self, name: str, spec: SignalSpec, signal: Signal | None) -> None:
        if signal is None:
            message = f"the plant has no signal {name!r}"
            raise PlantError(("signals", name), message, "docs/reference/signals.md lists them")
        if self.why_absent(name):
            raise PlantError(("signals", name), f"{name!r} is bound and absent at once", "drop one")
        writes = spec.write is not None or spec.pause is not None
        if writes and signal.role is not Role.MV:
            message = f"{name!r} is no manipulated variable and is never written"
            raise PlantError(("signals", name), message, "remove write or pause")
        if spec.pause is not None and not name.endswith(".standby"):
            message = f"pause methods move a .standby, not {name!r}"
            raise PlantError(("signals", name, "pause"), message, "use write")


def _words(node: NodeSpec) -> Iterator[str]:
    """The words of namespaces that an address or a path uses."""
    if node.node is not None:
        found = ADDRESS.fullmatch(node.node)
        if found is not None and found["word"]:
            yield found["word"]
    for step in (node.path or "/").split("/")[1:]:
        word, colon, _ = step.partition(":")
        if colon:
            yield word
