"""A batch of setpoints to a foreign PLC: written once, as bare typed values, then read back.

All of it leaves in one Write request, the heartbeat beside it and the sequence number last. A foreign
PLC may take one value and refuse the next: what then is in force is no refusal but a mismatch.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from dataclasses import replace

from asyncua import Client, ua

from twin.clock import monotonic_us
from twin.config.mapping import ActSpec
from twin.cycle import REFUSED_IN_PART, TOO_LATE, Acknowledgement, Batch, Outcome
from twin.equipment.binding import REFUSALS, Refusal
from twin.equipment.foreign.bound import COUNTER, ECHO, Bound
from twin.equipment.foreign.calls import bare, read_values, write_values
from twin.equipment.foreign.meaning import NotWritable, counted, fitted
from twin.equipment.foreign.pause import Pause
from twin.equipment.opcua_link import call_method
from twin.equipment.opcua_types import name_of, refusal
from twin.signals import Setpoint

ECHO_S = 0.05
"""How often what is in force is read while the PLC has not shown a write."""


async def write(
    bound: Bound, client: Client, batch: Batch, timeout_s: float, refusal_of: Refusal
) -> Acknowledgement:
    """Send a batch. Raises ``UaStatusCodeError`` for an answer that leaves open what was taken.

    Machines that are paused by methods are called after the values are written, one after the other; before
    each call ``refusal_of`` is asked why it must not be made any more.
    """
    written = [s for s in batch.setpoints if s.signal in bound.encodings]
    pauses = [(s, pause) for s in batch.setpoints if (pause := Pause.of_signal(bound, s.signal))]
    moved = {s.signal for s in written} | {s.signal for s, _ in pauses}
    unbound = [s.signal for s in batch.setpoints if s.signal not in moved]
    if unbound:
        what = f"the mapping has nothing to write for {', '.join(unbound)}"
        return Acknowledgement(batch.sequence, Outcome.REJECTED, {}, what)
    try:
        sent = [_encoded(bound, setpoint) for setpoint in written] + _counters(bound, batch)
    except NotWritable as error:
        return Acknowledgement(batch.sequence, Outcome.REJECTED, {}, str(error))
    if batch.setpoints:
        bound.interpretation.echo.sent = batch.sequence
    bad = await write_values(client, sent, timeout_s)
    told = [setpoint.signal for setpoint in written] + ["a counter"] * len(sent)
    said = [f"{told[at]}: {name_of(code)}" for at, code in bad.items()]
    refused = sum(at < len(written) for at in bad)
    vague = [code for at, code in bad.items() if at < len(written) and code not in REFUSALS]
    if vague:
        raise refusal(vague[0])
    if not batch.setpoints:
        outcome = Outcome.REJECTED if said else Outcome.ACCEPTED
        return Acknowledgement(batch.sequence, outcome, {}, "; ".join(said) or "heartbeat")
    if written and not pauses and refused == len(written):
        return Acknowledgement(batch.sequence, Outcome.REJECTED, {}, "; ".join(said))
    if refused:
        said[0] = f"{REFUSED_IN_PART}: {said[0]}"
    taken = {s.signal: (s.value, bound.encodings[s.signal]) for s in written}
    bound.interpretation.asked.update({bound.place[name]: each for name, each in taken.items()})
    withheld = await _paused(client, pauses, timeout_s, refusal_of, said)
    left = tuple(s for s in batch.setpoints if s.signal not in withheld)
    if not left:
        return Acknowledgement(batch.sequence, Outcome.SKIPPED, {}, "; ".join(said))
    return await _read_back(bound, client, replace(batch, setpoints=left), said, refusal_of)


async def act(bound: Bound, client: Client, part: ActSpec | None, timeout_s: float) -> None:
    """A part of the handshake, unless it is absent. Raises ``UaStatusCodeError`` if refused."""
    if part is None:
        return
    if part.call is not None and part.of is not None:
        await call_method(client, bound.node(part.of), bound.node(part.call), [], timeout_s)
    elif part.target is not None:
        kind = bound.located.type_of(part, "Boolean")
        raw = fitted(True if part.value is None else part.value, kind)
        values = [bare(bound.node(part.target), raw, kind)]
        for code in (await write_values(client, values, timeout_s)).values():
            raise refusal(code)


async def _paused(
    client: Client,
    pauses: list[tuple[Setpoint, Pause]],
    timeout_s: float,
    refusal_of: Refusal,
    said: list[str],
) -> set[str]:
    """Call what pauses machines; the MVs that were not called for any more. ``said`` gets all objections."""
    withheld = set()
    for setpoint, pause in pauses:
        if why := refusal_of(setpoint.signal):
            withheld.add(setpoint.signal)
            said.append(f"{setpoint.signal} was not called: {why}")
        elif no := await pause.move(client, setpoint, timeout_s):
            said.append(no)
    return withheld


async def _read_back(
    bound: Bound, client: Client, batch: Batch, refused: list[str], refusal_of: Refusal
) -> Acknowledgement:
    """What is in force: read until it is what was asked and the echo has come, or long enough.

    Where nobody wants the batch any more it is not looked for any longer, and what it did is not known.
    """
    asked = {setpoint.signal: setpoint.value for setpoint in batch.setpoints}
    echoes = ECHO in bound.mapping.signals and any(name in bound.encodings for name in asked)
    names = [*asked, *([ECHO] if echoes else [])]
    patience_s = 0.0 if refused else bound.mapping.server.readback_s
    until_us = monotonic_us() + round(patience_s * 1e6)
    while True:
        shown = await _shown(bound, client, names)
        late = echoes and not shown[ECHO] >= batch.sequence
        other = [f"{n} is {shown[n]:g}" for n, value in asked.items() if shown[n] != value]
        if monotonic_us() >= until_us or not (other or late):
            break
        if why := _unwanted(asked, refusal_of):
            return Acknowledgement(batch.sequence, Outcome.UNKNOWN, {}, f"not seen in force: {why}")
        await asyncio.sleep(ECHO_S)
    if bound.place[ECHO] in bound.interpretation.stand_ins:
        bound.interpretation.stand_ins[bound.place[ECHO]] = float(batch.sequence)
    unechoed = [f"the PLC has not echoed batch {batch.sequence}"] if late else []
    said = "; ".join([*refused, *other, *unechoed])
    active = {name: shown[name] for name in asked if not math.isnan(shown[name])}
    outcome = Outcome.MISMATCH if said else Outcome.ACCEPTED
    return Acknowledgement(batch.sequence, outcome, active, said or "read back")


def _unwanted(names: Iterable[str], refusal_of: Refusal) -> str:
    """Why none of these MVs is to be moved any more; empty if one still is.

    A deadline that passes meanwhile is no reason: it is about leaving, and this has left in time.
    """
    whys = [refusal_of(name) for name in names]
    return "" if any(why in ("", TOO_LATE) for why in whys) else whys[0]


async def _shown(bound: Bound, client: Client, names: list[str]) -> dict[str, float]:
    """The values of signals now; NaN for what cannot be told."""
    ids = [bound.node(bound.mapping.signals[name]) for name in names]
    raw = zip(names, await read_values(client, ids), strict=True)
    value = bound.interpretation.value
    return {name: value(bound.place[name], held, code)[0] for name, (held, code) in raw}


def _encoded(bound: Bound, setpoint: Setpoint) -> ua.WriteValue:
    encoding, spec = bound.encodings[setpoint.signal], bound.mapping.signals[setpoint.signal].write
    assert spec is not None
    return bare(bound.node(spec), encoding.raw(setpoint.value), encoding.type)


def _counters(bound: Bound, batch: Batch) -> list[ua.WriteValue]:
    """The heartbeat, and behind it the number that commits the setpoints."""
    shake = bound.mapping.handshake
    counters = [(shake.heartbeat, batch.heartbeat)]
    if batch.setpoints:
        counters.append((shake.sequence, batch.sequence))
    sent = []
    for counter, number in counters:
        if counter is not None and counter.target is not None:
            kind = bound.located.type_of(counter, COUNTER)
            sent.append(bare(bound.node(counter.target), counted(number, kind), kind))
    return sent
