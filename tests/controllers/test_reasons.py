"""Each move of the MPC has its sentence, and the numbers in it are those of the move."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import pytest

from controllers.mpc.controller import Mpc
from controllers.mpc.reasons import HAIR, station_reason
from tests.twin.analyze.in_step import PLANTS, drive, loop_of, nominal, plant_of, plc_of, true
from twin.config import untuned
from twin.cycle import Action, Cycle, Situation
from twin.signals import Role
from twin.solves import Binding, Solve


@dataclass(slots=True)
class Watched:
    """An MPC that remembers what it saw and asked."""

    mpc: Mpc
    seen: list[Situation] = field(default_factory=list)
    asked: list[Action] = field(default_factory=list)

    def decide(self, situation: Situation) -> Action:
        self.seen.append(situation)
        self.asked.append(self.mpc.decide(situation))
        return self.asked[-1]


def driven(
    name: str, turns: int = 40, commands: dict[int, str] | None = None
) -> tuple[Watched, list[Cycle]]:
    watched = Watched(Mpc(nominal(name), untuned(plant_of(name))))
    cycles = drive(plc_of(true(name)), loop_of(watched, line=nominal(name)), turns, commands)
    return watched, cycles


@pytest.mark.parametrize("name", PLANTS)
def test_each_move_and_no_other_has_a_sentence_of_three_parts(name: str) -> None:
    watched, _ = driven(name)
    told = 0
    for situation, action in zip(watched.seen, watched.asked, strict=True):
        spans = {
            q.name: q.operator.hi - q.operator.lo
            for q in situation.signals
            if q.role is Role.MV and q.operator
        }
        moved = {
            mv
            for mv, value in action.setpoints.items()
            if abs(value - situation.active[mv]) > HAIR * spans[mv]
        }
        assert set(action.why) == moved
        for sentence in action.why.values():
            told += 1
            assert len(sentence.split("; ")) == 3
            assert "risks" in sentence
            assert "nan" not in sentence
    assert told > 5


def test_who_is_held_back_for_the_others_is_not_said_to_keep_the_pace() -> None:
    watched, _ = driven("molding_cell", turns=1)
    situation, mpc = watched.seen[0], watched.mpc
    point, cell = mpc._memory.point, mpc._cells[0]
    assert point is not None
    solve = Solve("ipopt", "solved", 3, 0.0, (Binding("cycle_s", "lo", 0.5),))
    said = station_reason(situation, cell, dict(situation.active), 1.0, point, solve)
    assert "the cycle of 1.0 s that leaves the others their parts" in said
    assert "a second more" not in said


def test_what_a_move_saves_is_what_the_model_says_of_it() -> None:
    watched, _ = driven("machining_line", turns=1)
    situation, mpc = watched.seen[0], watched.mpc
    cell = next(cell for cell in mpc._cells if cell.name == "turning")
    point = mpc._memory.point
    assert point is not None
    active = dict(situation.active)
    slower = {
        **active,
        "turning.cutting_speed_m_per_min": 0.9 * active["turning.cutting_speed_m_per_min"],
    }
    said = station_reason(situation, cell, slower, 1e4, point)
    taken = re.search(r"takes ([0-9.]+) s of its cycle", said)
    assert taken is not None

    def cycle_s(setpoints: dict[str, float]) -> float:
        u = [setpoints[f"turning.{mv}"] for mv in cell.mvs]
        at = cell.model.point(**dict(zip(cell.mvs, u, strict=True)), wear_mm=0.5 * cell.life_mm)
        y = cell.model.numbers()(at.x, at.u, cell.disturbances(situation), cell.p)
        return y[0] + cell.change_s * y[4] / cell.life_mm

    assert float(taken[1]) == pytest.approx(cycle_s(slower) - cycle_s(active), abs=0.06)
    assert "EUR of edges" in said
    assert "keeps the pace" not in said  # nobody asked for so slow a cycle


def test_a_target_that_is_reached_binds() -> None:
    watched, _ = driven("machining_line", turns=1)
    situation, mpc = watched.seen[0], watched.mpc
    cell, point = next(cell for cell in mpc._cells if cell.name == "milling"), mpc._memory.point
    assert point is not None
    asked = watched.asked[0].setpoints
    assert "the cycle of 1.0 s" in station_reason(situation, cell, asked, 1.0, point)
    fast = replace(point, edge_factor=0.0, defect_eur=0.0)
    assert "budget" not in station_reason(situation, cell, asked, 1e4, fast)


def test_advice_that_nobody_follows_is_on_record_in_words() -> None:
    _, cycles = driven("molding_cell", turns=2, commands={})

    words = cycles[0].decision.asked.in_words
    assert cycles[0].decision.batch is None or not cycles[0].decision.batch.setpoints
    assert "risks" in words
    assert "risks" in cycles[0].to_json()
