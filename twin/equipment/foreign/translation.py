"""A mapping file as meanings and encodings, in the plant's own units: what can be told without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twin.config import Mapping as MappingFile
from twin.config import PlantError
from twin.config.errors import KeyPath
from twin.config.mapping import Scalar, SignalSpec
from twin.equipment.foreign.meaning import Encoding, Meaning, NotWritable, StatusRules, fitted
from twin.equipment.plc import PlcMode
from twin.equipment.units import conversion
from twin.line import schema as s
from twin.signals import Signal

_NO = "no"


def vocabulary(name: str) -> Mapping[str, float]:
    """Our own words for the codes of a signal."""
    if name == "control.mode":
        return {mode.name.lower(): float(mode) for mode in PlcMode}
    if name.endswith(".state"):
        return {state: float(code) for code, state in enumerate(s.STATES)}
    return {"false": 0.0, "true": 1.0, _NO: 0.0, "yes": 1.0}


def meaning(mapping: MappingFile, signal: Signal, epoch_us: int = 0) -> Meaning:
    """What raw values of a signal's node mean. Raises ``PlantError`` with the place in the file."""
    spec = mapping.signals[signal.name]
    gain, offset = _scaling(mapping, spec, signal, spec.gain, spec.offset)
    known = vocabulary(signal.name)
    words = {
        raw: _word(mapping, ("signals", signal.name, "words", raw), told, known)
        for raw, told in spec.words.items()
    }
    return Meaning(gain, offset, spec.bit, words, frozenset(spec.bad_values), epoch_us)


def encoding(mapping: MappingFile, signal: Signal, live_type: str) -> Encoding:
    """How a setpoint is written to a node that holds values of ``live_type``, unless the file says.

    Raises ``PlantError`` where neither tells a type, or words do not fit it.
    """
    spec = mapping.signals[signal.name]
    assert spec.write is not None
    place: KeyPath = ("signals", signal.name, "write")
    kind = spec.write.type or live_type
    if not kind:
        message, hint = f"the type of {spec.write.where} is not known", "say it: type: Double"
        raise mapping.located(PlantError(place, message, hint))
    raw_gain = spec.gain if spec.write.gain is None else spec.write.gain
    raw_offset = spec.offset if spec.write.offset is None else spec.write.offset
    gain, offset = _scaling(mapping, spec, signal, raw_gain, raw_offset)
    known = vocabulary(signal.name)
    words: dict[float, Scalar] = {}
    for told, raw in spec.write.words.items():
        at = (*place, "words", told)
        try:
            words[_word(mapping, at, told, known)] = fitted(raw, kind)
        except NotWritable as error:
            hint = f"write a value that {kind} can hold"
            raise mapping.located(PlantError(at, str(error), hint)) from error
    return Encoding(kind, gain, offset, words, signal.validity)


def status_rules(mapping: MappingFile) -> StatusRules:
    """What status codes mean. Raises ``PlantError`` for a code that OPC UA does not have."""
    try:
        return StatusRules.of(mapping.status.uncertain, mapping.status.codes)
    except KeyError as error:
        (name,) = error.args
        message, hint = f"OPC UA has no status code {name!r}", "write a name like GoodLocalOverride"
        raise mapping.located(PlantError(("status", "codes", name), message, hint)) from error


def check(mapping: MappingFile, signals: Sequence[Signal]) -> None:
    """All that can be wrong with units, words and status codes, before a server is asked."""
    status_rules(mapping)
    for signal in signals:
        if signal.name in mapping.signals:
            meaning(mapping, signal)


def _scaling(
    mapping: MappingFile, spec: SignalSpec, signal: Signal, gain: float, offset: float
) -> tuple[float, float]:
    """Gain and offset from a raw value to the signal's own unit."""
    converted = conversion(spec.unit or signal.unit, signal.unit)
    if converted is None:
        message = f"{signal.name} is in {signal.unit!r}, which {spec.unit!r} is not converted to"
        hint = f"leave unit out and say gain and offset to {signal.unit!r}"
        raise mapping.located(PlantError(("signals", signal.name, "unit"), message, hint))
    factor, shift = converted
    return factor * gain, factor * offset + shift


def _word(mapping: MappingFile, at: KeyPath, told: Scalar, known: Mapping[str, float]) -> float:
    """The code that a word of the file stands for; a number stands for itself."""
    if not isinstance(told, str):
        return float(told)
    if told in known:
        return known[told]
    try:
        return float(told)
    except ValueError as error:
        hint = f"known: {', '.join(known)}; or a number"
        problem = PlantError(at, f"there is no word {told!r} here", hint)
        raise mapping.located(problem) from error
