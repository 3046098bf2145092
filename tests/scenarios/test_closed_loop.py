"""Whole shifts of the true line: the MPC stays where it was measured against what it has to beat.

This is an alarm, not the measurement: `python -m benchmarks.savings` takes the many shifts that a
verdict needs, breakdowns included. Three calm ones stand in for them here. A part more or less that is
scrapped moves a shift's figures by a third of a per cent, so the margins are wide enough for the mean
of three, and too narrow for a controller that is wrong.
"""

from __future__ import annotations

from statistics import fmean

import pytest

from benchmarks.savings import one_shift

SHIFTS = (2, 3, 4)
# plant: (energy, tools) against each rival. A machine that never sleeps need not hurry after waking:
# always-on saves a few per cent of its tools, and pays many times that for power.
AT_MOST = {
    "machining_line": {"fixed": (1.0, 1.02), "always_on": (0.93, 1.06)},
    "molding_cell": {"fixed": (1.005, 1.0), "always_on": (0.98, 1.0)},
}


@pytest.mark.slow
@pytest.mark.parametrize("plant", AT_MOST)
def test_the_mpc_stays_within_its_margins(plant: str) -> None:
    runs = {
        name: [one_shift((plant, None, "nominal", seed, name)) for seed in SHIFTS]
        for name in ("mpc", *AT_MOST[plant])
    }

    def mean(name: str, figure: str) -> float:
        return fmean(one[figure] for one in runs[name])

    for name, (energy, tools) in AT_MOST[plant].items():
        for figure, factor in (
            ("energy_kwh_per_good_part", energy),
            ("tool_cost_eur_per_good_part", tools),
            ("material_kg_per_good_part", 1.01),
        ):
            assert mean("mpc", figure) <= factor * mean(name, figure), (name, figure)
        throughput = "throughput_parts_per_h"
        assert mean("mpc", throughput) >= 0.99 * mean(name, throughput), name
        assert mean("mpc", "scrap_share") <= mean(name, "scrap_share") + 0.003, name
