"""What a foreign server lets us write, node by node, told before anything is written.

A setpoint leaves as a bare typed value, without status and time. For that its node must hold a single
value of a known type and be writable by this user; a machine that is paused by methods must let them
be called. Whoever cannot be written is switched off in the loop from the start, instead of a refusal
that sheds it later. A probe by writing would need the authority that the loop does not have yet.
"""

from __future__ import annotations

from collections.abc import Sequence

from twin.config.mapping import NodeSpec, SignalSpec
from twin.equipment.foreign.bound import Bound
from twin.signals import Role, Signal


def barred(bound: Bound, signals: Sequence[Signal]) -> dict[str, str]:
    """The MVs that cannot be written here, and why."""
    mapped = bound.mapping.signals
    found = {s.name: _why(bound, mapped.get(s.name)) for s in signals if s.role is Role.MV}
    return {name: why for name, why in found.items() if why}


def _why(bound: Bound, spec: SignalSpec | None) -> str:
    if spec is not None and spec.pause is not None:
        return _why_not_called(bound, spec.pause.start) or _why_not_called(bound, spec.pause.end)
    if spec is None or spec.write is None:
        return "the mapping has nothing to write for it"
    live = bound.located.at(spec.write)
    if live is None:
        return f"the server does not have {spec.write.where}"
    if live.is_array:
        return f"{spec.write.where} holds a list, not a single value"
    return "" if live.writable else f"{spec.write.where} may not be written by this user"


def _why_not_called(bound: Bound, method: NodeSpec) -> str:
    live = bound.located.at(method)
    callable_ = live is not None and live.executable
    return "" if callable_ else f"{method.where} may not be called by this user"
