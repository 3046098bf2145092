from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from controllers.shift_cost import Outcome
from controllers.thrift import excess, thriftiest
from controllers.trials import Search, Trial
from controllers.tuning_space import Knob

SPACE = (
    Knob("feed", 0.0, 1.0, 0.5),
    Knob("speed", 0.0, 1.0, 0.5),
    Knob("standby_after_s", 30.0, 3600.0, 3600.0, logarithmic=True),
)
BASE = {"feed": 0.5, "speed": 0.5, "standby_after_s": 3600.0}


def outcome(
    eur: float = 5.0,
    tools: float = 0.2,
    energy: float = 0.1,
    scrap: float = 0.02,
    *,
    calm: bool = True,
) -> Outcome:
    return Outcome(eur, tools, calm, 4.5, energy, scrap, eur)


def trial(*outcomes: Outcome) -> Trial:
    return Trial({}, outcomes)


@pytest.mark.parametrize(
    ("other", "is_inside"),
    [
        (outcome(energy=9.0), True),
        (outcome(eur=5.004, tools=0.2009, scrap=0.0204), True),
        (outcome(eur=5.006), False),
        (outcome(tools=0.202), False),
        (outcome(scrap=0.0206), False),
    ],
)
def test_only_cost_edges_and_scrap_are_limited(other: Outcome, is_inside: bool) -> None:
    assert (excess(trial(other), trial(outcome())) == 0.0) is is_inside


def test_a_line_without_edges_has_no_limit_for_them() -> None:
    assert excess(trial(outcome(tools=0.0)), trial(outcome(tools=0.0))) == 0.0


def test_energy_is_that_of_the_shifts_that_met_all_orders() -> None:
    base = trial(outcome(), outcome(calm=False))
    other = trial(outcome(energy=0.2), outcome(energy=0.8))
    assert other.calm_energy_eur_per_part(base) == 0.2
    late = trial(outcome(calm=False), outcome(calm=False))
    assert other.calm_energy_eur_per_part(late) == pytest.approx(0.5)


@dataclass(slots=True)
class Drawn(Search):
    """A line of whose energy a formula tells: less the faster it feeds, but scrap grows with speed."""

    scrap_of_speed: float = 0.0

    def on(self, seeds: Sequence[int], setpoints: Mapping[str, float]) -> Trial:
        feed, speed, rest_s = (setpoints[knob.name] for knob in SPACE)
        energy = 0.2 - 0.1 * feed * (2.0 - feed) - 0.05 * speed + 1e-5 * min(rest_s, 3600.0)
        scrap = 0.02 + self.scrap_of_speed * (speed - 0.5)
        return Trial(setpoints, tuple(outcome(energy=energy, scrap=scrap) for _ in seeds))


def search(scrap_of_speed: float) -> Drawn:
    return Drawn(None, (1, 2), 300, lambda _n, _best: None, scrap_of_speed=scrap_of_speed)  # type: ignore[arg-type]


def test_energy_is_saved_as_far_as_nothing_else_pays() -> None:
    free = thriftiest(search(0.0), SPACE, BASE, [], (3, 4))
    assert free.setpoints["feed"] == pytest.approx(1.0, abs=0.02)
    assert free.setpoints["speed"] == pytest.approx(1.0, abs=0.02)
    assert free.setpoints["standby_after_s"] == 30.0
    bound = thriftiest(search(0.01), SPACE, BASE, [], (3, 4))
    assert bound.setpoints["feed"] == pytest.approx(1.0, abs=0.02)
    assert bound.setpoints["speed"] == pytest.approx(0.525, abs=0.02)


def test_what_is_best_already_stays() -> None:
    best = {"feed": 1.0, "speed": 1.0, "standby_after_s": 30.0}
    found = thriftiest(search(0.0), SPACE, best, [BASE], (3, 4))
    assert found.setpoints == best


def test_a_point_from_elsewhere_is_begun_at() -> None:
    near = {**BASE, "feed": 1.0}
    trials = search(0.0)
    trials.evaluations = 1
    assert thriftiest(trials, SPACE, BASE, [near], (3, 4)).setpoints == {
        **near,
        "standby_after_s": 30.0,
    }
