"""What standby alone saves on the machining line, by utilisation, policy and variant.

``python -m benchmarks.standby --json`` runs the nominal line, with its cutting parameters where the
recipe has them, for 160 hours in each of 16 replications, and compares the energy per good part with
that of machines that are always on: the same luck for both, one relative difference a replication,
Student's t, 95 %. The seeds stand here. Beside it is a table that was made before this twin existed, by
another simulation of the same defaults (steps of one second, 8 runs of 120 hours). Why the two differ
where they do is told in docs/explanation/standby.md.

Policies: machines always on, blanks at the takt that the demand asks for; the same with a time-out of
90 or 240 s; the same, but asleep after the shortest time-out that the plant allows until eight parts
wait; all blanks of a shift at full pace from its beginning, with a time-out of 70 s; the last one with
warm-ups five times as long as well; and some of these with a washer that never sleeps. The physical bound
is no policy: idle and blocked machines at standby power, awake whenever a part comes.

Blanks whose takt finds no room before the first station are either *kept*, so that all policies make what
is ordered, or the takt is *lost*: then an even one hardly ever makes up for a breakdown.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from twin.clock import cpu_s
from twin.config import Plant, load_plant
from twin.feedback.compare import student_t
from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.compiled import CompiledSimulator, as_arrays
from twin.line.initial import initial_state
from twin.line.model import Line, build_line
from twin.line.scenario import build_table, shift_orders
from twin.state import LineState

UTILISATIONS = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
VARIANTS = ("low", "nominal", "high")
SEEDS = tuple(range(501, 517))
WARM_UP_SHIFTS, SHIFTS = 1, 20
INFEED = {"kept": 500, "lost": 10}
"""Places for blanks: so many that each takt brings one however long a breakdown lasts, or as many as
between the stations."""
YIELD = 0.97
"""Good parts a blank, or a little less, so that an even takt meets its orders."""
FULL_TAKT_S = 50.0
"""The fastest takt that the operator may ask for; the slowest station takes 58 s."""
ALWAYS_ON, BOUND = "always_on", "physical_bound"
NEVER_S, FULL_PACE_TIME_OUT_S = 1_000_000.0, 70.0
"""Time-outs of this study's policies; assumption."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How blanks are released, when stations go to standby by themselves, and when they wake."""

    time_out_s: float = NEVER_S
    wakes_at: int = 1
    full_pace: bool = False
    warm_up_factor: float = 1.0
    stays_awake: tuple[str, ...] = ()


POLICIES = {
    ALWAYS_ON: Policy(),
    "time_out_90": Policy(90.0),
    "time_out_240": Policy(240.0),
    "wake_at_8": Policy(30.0, wakes_at=8),
    "full_pace": Policy(FULL_PACE_TIME_OUT_S, full_pace=True),
    "full_pace_slow_wake_up": Policy(FULL_PACE_TIME_OUT_S, full_pace=True, warm_up_factor=5.0),
    "time_out_90_wash_awake": Policy(90.0, stays_awake=("wash",)),
    "full_pace_wash_awake": Policy(FULL_PACE_TIME_OUT_S, full_pace=True, stays_awake=("wash",)),
    "full_pace_slow_wake_up_wash_awake": Policy(
        FULL_PACE_TIME_OUT_S, full_pace=True, warm_up_factor=5.0, stays_awake=("wash",)
    ),
}

PUBLISHED: Mapping[tuple[str, str], Sequence[int | None]] = {
    ("nominal", BOUND): (-10, -11, -15, -20, -25, -30),
    ("nominal", "time_out_90"): (-2, -1, -2, -1, 0, 0),
    ("nominal", "time_out_240"): (-3, -2, -2, -2, -1, 0),
    ("nominal", "wake_at_8"): (-4, -6, -8, -11, -15, -20),
    ("nominal", "full_pace"): (-5, -6, -10, -15, -20, -26),
    ("nominal", "full_pace_slow_wake_up"): (None, None, 2, -3, -9, -16),
    ("low", BOUND): (-5, -5, -7, -10, -12, -16),
    ("low", "full_pace"): (0, -1, -3, -6, -8, -12),
}
"""Per cent of energy per good part, in the order of the utilisations."""
PUBLISHED_ERROR = 1.0
"""Half a point of luck, as published, and half a point of rounding."""


@dataclass(frozen=True, slots=True)
class Run:
    """One replication: what it made, what that took, and what idle machines took too much."""

    good: float
    energy_kwh: float
    idle_kwh: float
    above_standby_kwh: float


def plant_for(policy: Policy, infeed_places: int) -> Plant:
    """The machining line with room for all blanks, and the stations as the policy has them."""
    plant = load_plant("machining_line")
    stations = tuple(
        station.model_copy(
            update={
                "wake_at_parts": min(policy.wakes_at, infeed_places),
                "warm_up_s": float(station.warm_up_s) * policy.warm_up_factor,
            }
        )
        for station in plant.stations
    )
    infeed, *others = plant.buffers
    assert infeed.name == plant.source.gives_to
    buffers = (infeed.model_copy(update={"capacity": float(infeed_places)}), *others)
    return plant.model_copy(update={"stations": stations, "buffers": buffers})


def setpoints_for(plant: Plant, policy: Policy, utilisation: float) -> dict[str, float]:
    """Takt and time-outs, held throughout."""
    even_s = plant.shift_h * 3600.0 * YIELD / shift_orders(plant, utilisation)
    time_outs = {f"{st.name}.standby_after_s": policy.time_out_s for st in plant.stations}
    time_outs |= {f"{name}.standby_after_s": NEVER_S for name in policy.stays_awake}
    return {"line.takt_s": FULL_TAKT_S if policy.full_pace else even_s, **time_outs}


def meters(line: Line, state: LineState) -> Run:
    """What a line has made and taken so far."""
    f, c = state.floats, line.c
    energy = idle_kwh = above_kwh = 0.0
    for e in range(1, 1 + len(line.stations)):
        a = e * s.E_FLOATS
        since_h = (state.now_s - f[a + s.BOOKED_S]) / 3600.0
        energy += (
            sum(f[a + s.ENERGY_KWH : a + s.ENERGY_KWH + s.N_STATES]) + f[a + s.POWER_KW] * since_h
        )
        now = state.ints[e * s.E_INTS + s.STATE]
        rested_h = sum(f[a + s.TIME_S + at] for at in (s.IDLE, s.BLOCKED)) / 3600.0
        rested_h += since_h if now in (s.IDLE, s.BLOCKED) else 0.0
        idle_kw, standby_kw = c[e * s.EC + s.C_IDLE_KW], c[e * s.EC + s.C_STANDBY_KW]
        idle_kwh += idle_kw * rested_h
        above_kwh += (idle_kw - standby_kw) * rested_h
    good = float(state.ints[line.k[s.K_LINE_I] + s.GOOD])
    return Run(good, float(energy), float(idle_kwh), float(above_kwh))


def runs(policy: Policy, utilisation: float, variant: str, infeed: int) -> list[Run]:
    """All replications of one policy."""
    plant = plant_for(policy, infeed)
    line = build_line(plant, variant=variant)
    given = setpoints_for(plant, policy, utilisation)
    shift_s = plant.shift_h * 3600.0
    hours = (WARM_UP_SHIFTS + SHIFTS) * plant.shift_h
    found = []
    for seed in SEEDS:
        table = build_table(plant, seed, PLANT, hours, utilisation=utilisation)
        engine = CompiledSimulator(line, table, tells=False)
        state = as_arrays(initial_state(line, seed, PLANT))
        engine.advance(state, given, WARM_UP_SHIFTS * shift_s)
        before = meters(line, state)
        engine.advance(state, {}, hours * 3600.0)
        after = meters(line, state)
        found.append(
            Run(
                after.good - before.good,
                after.energy_kwh - before.energy_kwh,
                after.idle_kwh - before.idle_kwh,
                after.above_standby_kwh - before.above_standby_kwh,
            )
        )
    return found


def relative(values: Sequence[float], base: Sequence[float]) -> list[float]:
    """Mean difference of pairs in per cent of the base, and half the width of its 95 % interval."""
    shares = [100.0 * (value / b - 1.0) for value, b in zip(values, base, strict=True)]
    half_width = student_t(len(shares) - 1) * stdev(shares) / math.sqrt(len(shares))
    return [mean(shares), half_width]


def cell(variant: str, utilisation: float, blanks: str) -> Iterator[dict[str, Any]]:
    """All policies of one variant at one utilisation, each against machines that are always on."""
    infeed = INFEED[blanks]
    base = runs(POLICIES[ALWAYS_ON], utilisation, variant, infeed)
    per_part = [run.energy_kwh / run.good for run in base]
    made = [run.good for run in base]
    ordered = SHIFTS * shift_orders(load_plant("machining_line"), utilisation)
    common = {"blanks": blanks, "variant": variant, "utilisation": utilisation}
    yield {
        **common,
        "policy": ALWAYS_ON,
        "energy_kwh_per_good_part": mean(per_part),
        "idle_share_percent": 100.0 * mean(run.idle_kwh / run.energy_kwh for run in base),
        "good_parts_of_ordered_percent": 100.0 * mean(made) / ordered,
    }
    bound = [(run.energy_kwh - run.above_standby_kwh) / run.good for run in base]
    yield {**common, "policy": BOUND, **figures(variant, utilisation, BOUND, bound, per_part)}
    for name, policy in POLICIES.items():
        if name == ALWAYS_ON:
            continue
        found = runs(policy, utilisation, variant, infeed)
        taken = [run.energy_kwh / run.good for run in found]
        output, half_width = relative([run.good for run in found], made)
        yield {
            **common,
            "policy": name,
            **figures(variant, utilisation, name, taken, per_part),
            "output_percent": output,
            "output_half_width": half_width,
        }


def figures(
    variant: str, utilisation: float, name: str, taken: Sequence[float], base: Sequence[float]
) -> dict[str, Any]:
    """Energy per good part against always on, and against what was published."""
    change, half_width = relative(taken, base)
    row: dict[str, Any] = {
        "energy_kwh_per_good_part": mean(taken),
        "energy_percent": change,
        "half_width": half_width,
    }
    column = PUBLISHED.get((variant, name))
    published = column[UTILISATIONS.index(utilisation)] if column else None
    if published is not None:
        row["published_percent"] = published
        row["difference"] = change - published
        row["within_error"] = abs(change - published) <= half_width + PUBLISHED_ERROR
    return row


def saturated() -> dict[str, float]:
    """What the line sustains: blanks at the fastest takt, orders without end."""
    found = runs(Policy(full_pace=True), 1.4, "nominal", INFEED["kept"])
    plant = load_plant("machining_line")
    hours = SHIFTS * plant.shift_h
    return {
        "sustained_good_parts_per_h": mean(run.good for run in found) / hours,
        "capacity_good_parts_per_h": float(plant.demand.capacity_good_parts_per_h),
    }


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--variant", choices=VARIANTS, help="this one only")
    parser.add_argument("--utilisation", type=float, choices=UTILISATIONS, help="this one only")
    parser.add_argument("--blanks", choices=tuple(INFEED), help="this way only")
    asked = parser.parse_args()
    began_s = cpu_s()
    rows = [
        row
        for variant in ([asked.variant] if asked.variant else VARIANTS)
        for utilisation in ([asked.utilisation] if asked.utilisation else UTILISATIONS)
        for blanks in ([asked.blanks] if asked.blanks else INFEED)
        for row in cell(variant, utilisation, blanks)
    ]
    if asked.json:
        facts = {
            "plant_hash": load_plant("machining_line").config_hash,
            "seeds": list(SEEDS),
            "shifts": SHIFTS,
            **saturated(),
        }
        print(json.dumps({**facts, "rows": rows, "cpu_s": round(cpu_s() - began_s, 1)}, indent=1))
        return 0
    for row in rows:
        line = f"{row['blanks']} {row['variant']:<8} {row['utilisation']:.2f} {row['policy']:<33}"
        line += f" {row['energy_kwh_per_good_part']:.4f} kWh"
        if "energy_percent" in row:
            line += f" {row['energy_percent']:+6.2f} +-{row['half_width']:.2f} %"
        else:
            line += f" idle {row['idle_share_percent']:.1f} %"
            line += f" output {row['good_parts_of_ordered_percent']:.1f} % of orders"
        if "published_percent" in row:
            line += f" (published {row['published_percent']:+d})"
        if "output_percent" in row:
            line += f" output {row['output_percent']:+.2f} +-{row['output_half_width']:.2f} %"
        print(line)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
