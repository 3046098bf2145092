"""What the PLC receives stays safe, whatever a controller asks for and whatever breaks."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.properties.guard_witness import assert_safe, doubt
from tests.properties.hostile_line import (
    BadCompany,
    Book,
    Fault,
    Happening,
    Hostile,
    Row,
    finished,
    in_company,
    nominal,
    received,
    simulated,
)
from tests.twin.equipment.lines import emulator_process
from twin import runtime
from twin.act import told
from twin.act.guard import Guard
from twin.act.modes import COMMANDS, EVENTS, MV_COMMANDS, OPERATOR_EVENTS
from twin.cycle import Mode, Outcome
from twin.equipment.opcua import OpcUaEquipment
from twin.line.tags import line_signals
from twin.runtime import Runtime
from twin.signals import Role, Signal

PLANTS = ("machining_line", "paint_cure_line")
"""The first has no critical input that can go stale or freeze; the second has four."""
TURNS = 24
EXTREMES = (math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, -0.0, 0.5, 1e6)
PLC_TAGS = ("control.mode", "control.permit_remote", "control.shed", "control.echo_seq")


def signals_of(plant: str) -> tuple[Signal, ...]:
    return line_signals(nominal(plant))


def asked(signals: tuple[Signal, ...], luck: np.random.Generator) -> dict[str, float]:
    """Up to eight values: mostly of MVs and possible, some beyond all limits, some of no MV."""
    mvs = [s for s in signals if s.role is Role.MV]
    others = [s.name for s in signals if s.role is not Role.MV]
    asks: dict[str, float] = {}
    for _ in range(luck.integers(9)):
        signal, kind = mvs[luck.integers(len(mvs))], luck.integers(8)
        assert signal.operator is not None
        assert signal.validity is not None
        if kind == 0:
            asks[[*others, "no.such_signal", ""][luck.integers(len(others) + 2)]] = luck.normal()
        elif kind == 1:
            asks[signal.name] = EXTREMES[luck.integers(len(EXTREMES))]
        else:
            limits = signal.validity if kind == 2 else signal.operator
            asks[signal.name] = luck.uniform(limits.lo, limits.hi)
    return asks


def faults_of(plant: str) -> st.SearchStrategy[list[tuple[str, Fault, int, int]]]:
    """Signal, what ails it, from which turn and for how many."""
    signals = signals_of(plant)
    critical = [s.name for s in signals if s.critical]
    sampled = [s.name for s in signals if s.critical and s.sampled_s > 0.0] or critical
    mvs = [s.name for s in signals if s.role is Role.MV]
    names = st.sampled_from([*critical, *PLC_TAGS, *mvs])
    first, turns = st.integers(2, TURNS - 8), st.sampled_from([1, 2, 4])
    short = st.tuples(names, st.sampled_from(Fault), first, turns)
    long = st.tuples(st.sampled_from(sampled), st.sampled_from(Fault), first, st.just(9))
    return st.lists(short | long, min_size=1, max_size=3)


HAPPENINGS = st.dictionaries(
    st.integers(2, TURNS - 1), st.sampled_from(Happening), min_size=2, max_size=5
)


def words_of(plant: str) -> st.SearchStrategy[dict[int, str]]:
    """What the operator says in which turn; a word on an MV names one, or something else."""
    mvs = [signal.name for signal in signals_of(plant) if signal.role is Role.MV]
    names = st.sampled_from([*mvs, "line.wip", ""])
    on_mvs = st.tuples(st.sampled_from(MV_COMMANDS), names).map(": ".join)
    word = st.sampled_from(OPERATOR_EVENTS) | on_mvs
    return st.dictionaries(st.integers(2, TURNS - 1), word, max_size=4)


class Course:
    """One course of turns; on every other an operator who likes it closed has a say."""

    EAGER = {Mode.OFF: "start", Mode.ADVISORY: "close", Mode.SHED: "ack"}  # noqa: RUF012

    def __init__(self, company: BadCompany, hostile: Hostile, seed: int) -> None:
        self.company, self.hostile = company, hostile
        self.luck = np.random.default_rng(seed)

    def prepare(self, n: int, faults: list[tuple[str, Fault, int, int]], word: str = "") -> None:
        """What stands when turn ``n`` comes."""
        command, cycles = self.company.runtime.command, self.company.book.cycles
        mode = cycles[-1].decision.mode if cycles else Mode.ADVISORY
        verb, _, reason = word.partition(": ")
        mvs = [signal.name for signal in self.company.book.signals if signal.role is Role.MV]
        if verb in MV_COMMANDS and reason not in mvs:
            with pytest.raises(ValueError, match="names first an MV"):
                command(verb, reason)
        elif word:
            command(verb, reason)
        if n % 2 == 0 and self.company.runtime.loop.memory.guard.is_frozen:
            command("open")
        elif n % 2 == 0 and mode in self.EAGER:
            # The PLC may have shed as well: its reset waits for an acknowledgement in ADVISORY.
            command("ack" if n % 4 and n > 2 else self.EAGER[mode])
        self.hostile.asks = asked(self.company.book.signals, self.luck)
        self.company.faults = {
            name: fault for name, fault, first, turns in faults if first <= n < first + turns
        }


def count(book: Book, rows: list[Row], seen: Counter[str]) -> None:
    """What a course has shown, so that a course which shows nothing is noticed."""
    seen["rows"] += len(rows)
    for row in rows:
        seen[row.result] += 1
    critical = [(n, signal) for n, signal in enumerate(book.signals) if signal.critical]
    for at, cycle in enumerate(book.cycles):
        seen[cycle.decision.mode] += 1
        for n, signal in critical:
            seen[doubt(book, at, n, signal)] += 1
        for clip in cycle.decision.clips:
            seen[clip.reason.split()[0]] += 1
        if cycle.acknowledged is not None:
            seen[cycle.acknowledged.outcome] += 1
    for what, _ in book.log:
        seen[what] += 1


def course(
    plant: str,
    seed: int,
    faults: list[tuple[str, Fault, int, int]],
    happenings: dict[int, Happening],
    words: dict[int, str],
) -> tuple[Book, list[Row]]:
    """A course on the simulated line, and what its PLC received."""
    company, hostile, plc = simulated(plant)
    under_way = Course(company, hostile, seed)
    for n in range(TURNS):
        under_way.prepare(n, faults, words.get(n, ""))
        finished(company.turn(happenings.get(n)))
    return company.book, received(plc)


@pytest.mark.parametrize("plant", PLANTS)
def test_what_the_plc_receives_is_safe(plant: str) -> None:
    seen: Counter[str] = Counter()

    @settings(deadline=None, max_examples=80, derandomize=True)
    @given(st.integers(0, 2**32 - 1), faults_of(plant), HAPPENINGS, words_of(plant))
    @example(1, [], dict.fromkeys(range(4, TURNS, 3), Happening.LATE_PERMIT), {})
    @example(1, [], dict.fromkeys(range(4, TURNS, 3), Happening.LATE_FREEZE), {})
    def every_course(
        seed: int,
        faults: list[tuple[str, Fault, int, int]],
        happenings: dict[int, Happening],
        words: dict[int, str],
    ) -> None:
        book, rows = course(plant, seed, faults, happenings, words)
        assert_safe(book, rows)
        # The PLC itself finds no fault but that it has taken control back.
        assert {row.result for row in rows} <= {"OK", "NOT_REMOTE"}
        count(book, rows, seen)

    every_course()
    # The courses say something only if setpoints leave and every obstacle is met.
    assert seen["rows"] > 500
    met = {*Mode, *Outcome} - {Outcome.NONE, Outcome.MISMATCH}
    met |= {"lost", "word", "rate", "operator", "marked at its source", "no number", "NOT_REMOTE"}
    met |= {"switched"}
    assert {what for what in met if not seen[what]} == set()


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (Fault.BAD, "marked at its source"),
        (Fault.UNCERTAIN, "marked at its source"),
        (Fault.MISSING, "no number"),
        (Fault.INFINITE, "no number"),
        (Fault.BEYOND, "impossible"),
        (Fault.STALE, "stale"),
        (Fault.FUTURE, "of the future"),
        (Fault.FROZEN, "frozen"),
    ],
)
def test_each_ailment_of_a_critical_input_stops_the_setpoints(fault: Fault, what: str) -> None:
    """Those of a temperature; the operator's eager word does not help while it lasts."""
    name = "oven.zone_temp_3_c"
    book, rows = course("paint_cure_line", 4, [(name, fault, 9, 12)], {}, {})
    assert_safe(book, rows)
    n, signal = next((n, s) for n, s in enumerate(book.signals) if s.name == name)
    doubts = [doubt(book, at, n, signal) for at in range(TURNS)]
    assert doubts[:9] + doubts[21:] == [""] * 12
    ill = [at for at in range(9, 21) if doubts[at] == what]
    # Frozen is told after some readings, and one impossible value may be a spike.
    assert len(ill) == {Fault.FROZEN: 7, Fault.BEYOND: 11}.get(fault, 12)
    modes = [cycle.decision.mode for cycle in book.cycles]
    assert modes[8] is Mode.CLOSED
    assert modes[ill[0]] is Mode.HOLD
    assert {modes[at] for at in ill} <= {Mode.HOLD, Mode.SHED, Mode.ADVISORY}
    assert any(row.time_us < book.cycles[9].reading.time_us for row in rows)


@pytest.mark.parametrize("verb", [*sorted(set(EVENTS) - set(COMMANDS)), "fault", "", "CLOSE"])
def test_nobody_orders_what_only_the_line_can_show(verb: str) -> None:
    company, _, _ = simulated("machining_line")
    with pytest.raises(ValueError, match="there is no command"):
        company.runtime.command(verb, "because")
    assert finished(company.turn()).commands == ()


@pytest.mark.parametrize(
    ("where", "name", "instead", "happenings"),
    [
        (Guard, "_within", lambda *given: (given[2], ""), {}),
        (Guard, "_equipment", lambda *_: None, {8: Happening.NO_PERMIT}),
        (Guard, "_answers", lambda *_: None, dict.fromkeys(range(4, 20), Happening.LANDED)),
        (told, "_switch", lambda *_: None, {}),
        (
            runtime,
            "is_taken_back",
            lambda *_: False,
            dict.fromkeys(range(4, 20), Happening.LATE_OPEN),
        ),
        (Runtime, "_refusal", lambda *_: "", dict.fromkeys(range(4, 20), Happening.LATE_CLOCK)),
        (Runtime, "_intend", lambda *_: None, {}),
    ],
)
def test_a_guard_with_a_hole_is_found(
    monkeypatch: pytest.MonkeyPatch,
    where: type | ModuleType,
    name: str,
    instead: Callable[..., object],
    happenings: dict[int, Happening],
) -> None:
    words = {6: "mv_off: oven.fan_speed_rel"}
    book, rows = course("paint_cure_line", 5, [], happenings, words)
    assert rows
    assert_safe(book, rows)
    # A PLC that falls back to its recipe would look like a hand, and close some of the holes.
    monkeypatch.setattr(Guard, "_by_hand", lambda *_: None)
    monkeypatch.setattr(where, name, instead)
    with pytest.raises(AssertionError):
        assert_safe(*course("paint_cure_line", 5, [], happenings, words))


@pytest.mark.slow
async def test_what_the_emulator_writes_down_is_safe(tmp_path: Path) -> None:
    """The same over OPC UA, judged by the log of the other process."""
    log, plant, turns = tmp_path / "received.jsonl", "machining_line", 60
    happenings = {
        9: Happening.LANDED,
        15: Happening.LOST,
        21: Happening.UNREACHABLE,
        24: Happening.LATE_OPEN,
        30: Happening.RELEASED,
        34: Happening.DISK_FULL,
        40: Happening.NO_PERMIT,
        43: Happening.PERMIT,
        50: Happening.PAUSE,
    }
    faults = [("turning.state", Fault.FUTURE, 12, 1), ("wash.state", Fault.BAD, 27, 2)]
    async with (
        asyncio.timeout(90),
        emulator_process("--lockstep", "--seed", "8", "--write-log", str(log)) as (_, told),
        OpcUaEquipment.connect(told["endpoint"], signals_of(plant), plant_hash=None) as line,
    ):
        company, hostile = in_company(plant, line)
        under_way = Course(company, hostile, 8)
        for n in range(turns):
            under_way.prepare(n, faults)
            await company.turn(happenings.get(n))
        await company.runtime.release()
    rows = [
        Row(r["time_us"], r["sequence"], r["signal"], float(r["value"]), r["result"])
        for r in map(json.loads, log.read_text(encoding="utf-8").splitlines())
    ]
    assert_safe(company.book, rows)
    assert {row.result for row in rows} == {"OK"}
    sent = {number for what, number in company.book.log if what == "setpoints"}
    lost = {number for what, number in company.book.log if what == "lost"}
    arrived = {row.sequence for row in rows}
    assert arrived <= sent
    assert len(arrived) > 15
    assert len(sent - arrived) == 1
    assert sent - arrived < lost
    modes = {cycle.decision.mode for cycle in company.book.cycles}
    assert modes == {Mode.ADVISORY, Mode.INIT, Mode.CLOSED, Mode.HOLD, Mode.SHED}
