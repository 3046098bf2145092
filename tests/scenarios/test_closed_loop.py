"""A whole shift of the true line: the MPC takes less energy than what it has to beat, and no more else."""

from __future__ import annotations

import pytest

from benchmarks.savings import one_shift

RIVALS = ("fixed", "always_on")


@pytest.mark.slow
@pytest.mark.parametrize("plant", ["machining_line", "molding_cell"])
def test_the_mpc_takes_less_energy_and_no_more_of_anything_else(plant: str) -> None:
    mpc, *rivals = (one_shift((plant, None, "nominal", 1, name)) for name in ("mpc", *RIVALS))
    for name, rival in zip(RIVALS, rivals, strict=True):
        for figure, share in (
            ("energy_kwh_per_good_part", 0.0),
            ("throughput_parts_per_h", -0.01),
            ("tool_cost_eur_per_good_part", 0.0),
            ("material_kg_per_good_part", 0.01),
        ):
            ours, theirs = mpc[figure], rival[figure]
            if share < 0.0:
                assert ours >= theirs * (1.0 + share), (name, figure)
            else:
                assert ours <= theirs * (1.0 + share), (name, figure)
        assert mpc["scrap_share"] <= rival["scrap_share"] + 0.001, name
