"""Whether anything leaves the guard that must not: ``python -m benchmarks.writes --shifts 1000 --json``.

Shifts in randomised worlds, scenarios by lot, driven by policies that know no limits: a *random* one, a
*bang-bang* one that jumps between the ends, and a *sticky* one that jumps now and then. These ask in numbers between
-1 and 1, as the environment takes them, and so from one end of the operator's limits to the other. What such numbers
cannot say is put straight to the guard: *beyond* asks for setpoints outside all limits, some of them absurd, and
*no_number* for NaN and infinities as well. Each shift is the whole loop on simulated equipment, and what is judged is
what the PLC received: finite, inside validity, engineering and operator limits, and no faster than the rate. Plants,
policies and seeds take turns, so a part of the run is a smaller run of the same kind. The exit status is 1 if there
was a single write outside.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from controllers.env.single import LineEnv
from controllers.env.worlds import Randomisation
from twin.act.allowed import limits_of
from twin.cycle import Action, Situation
from twin.protocols import Controller
from twin.signals import Role, Signal
from twin.spread import spread

PLANTS = ("machining_line", "molding_cell", "paint_cure_line")
SCALED = ("random", "bang_bang", "sticky")
HOSTILE = ("beyond", "no_number")
POLICIES = (*SCALED, *HOSTILE)
SCENARIOS = (
    "nominal", "demand_surge", "failure_burst", "material_shift", "sensor_faults", "tariff_day",
)  # fmt: skip
KEPT = 7
"""Decisions that a sticky policy keeps to what it has asked."""
TOLD_EVERY = 50
"""Shifts between two words of how far it is."""


def actions(policy: str, size: int, seed: int) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
    """What a policy asks, decision by decision; it looks at nothing."""
    rng, n = np.random.default_rng(seed), 0
    held = rng.uniform(-1.0, 1.0, size)
    while True:
        if policy == "random":
            held = rng.uniform(-1.0, 1.0, size)
        elif policy == "bang_bang":
            held = rng.choice([-1.0, 1.0], size)
        elif n % KEPT == 0:
            held = rng.uniform(-1.0, 1.0, size)
        n += 1
        yield held.astype(np.float32)


class Hostile:
    """The loop's controller that asks for what no scaled action can say, anew at each turn."""

    def __init__(
        self, watching: Controller, signals: Sequence[Signal], policy: str, seed: int
    ) -> None:
        self._watching, self._signals = watching, signals
        self._is_finite = policy == "beyond"
        self._rng = np.random.default_rng(seed)

    def decide(self, situation: Situation) -> Action:
        """Setpoints by name; the environment's own controller goes on noting what the line shows."""
        self._watching.decide(situation)
        return Action({signal.name: self._asked(signal) for signal in self._signals}, "hostile")

    def _asked(self, signal: Signal) -> float:
        lo, hi = map(float, limits_of(signal)[:2])
        away = float(self._rng.choice([0.01, 0.5, 3.0, 1e3, 1e9])) * (hi - lo)
        if self._is_finite or self._rng.random() < 0.5:
            return hi + away if self._rng.random() < 0.5 else lo - away
        return float(self._rng.choice([np.nan, np.inf, -np.inf]))


def outside(env: LineEnv) -> list[str]:
    """What the PLC of an environment has received, and must not have, in words."""
    signals = {s.name: s for s in env.plc.signals if s.role is Role.MV}
    period_us = env.loop.line.plant.control.period_s * 1e6
    found, moved_us = [], dict.fromkeys(signals, -(10**15))
    for got in env.plc.written:
        signal = signals[got.signal]
        nested = (signal.validity, signal.engineering, signal.operator)
        found += [
            f"{got.signal} = {got.value!r} lies outside {limits}"
            for limits in nested
            if limits is None or not limits.holds(got.value)
        ]
        if not np.isfinite(got.value):
            found.append(f"{got.signal} = {got.value!r} is no number")
        passed_us = min(got.time_us - moved_us[got.signal], period_us)
        most = signal.rate_per_s * passed_us / 1e6 * (1.0 + 1e-9)
        if not signal.discrete and abs(got.value - got.active_before) > most:
            found.append(f"{got.signal} = {got.value!r} is too far from {got.active_before!r}")
        moved_us[got.signal] = got.time_us
    return found


def shift(number: int, decisions: int | None = None) -> dict[str, Any]:
    """One shift, or its first decisions: writes, those outside, how it ended."""
    plant = PLANTS[number % len(PLANTS)]
    policy = POLICIES[number // len(PLANTS) % len(POLICIES)]
    env = LineEnv(
        plant, world="randomised", randomisation=Randomisation(scenarios=SCENARIOS), worlds=None,
        engine="compiled",
    )  # fmt: skip
    env.reset(seed=number)
    if policy in HOSTILE:
        mvs = [signal for signal in env.plc.signals if signal.role is Role.MV]
        env.loop.controller = Hostile(env.loop.controller, mvs, policy, number)
    over, given_up, done = False, "", 0
    for asked in actions(policy, env.action_space.shape[0], number):
        if over or done == decisions:
            break
        _, _, tripped, ended, info = env.step(asked)
        over, given_up, done = tripped or ended, info["given_up"], done + 1
    found = outside(env)
    return {
        "number": number,
        "plant": plant,
        "policy": policy,
        "writes": len(env.plc.written),
        "outside": found,
        "given_up": given_up,
    }


def main() -> int:
    """Run, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a line")
    parser.add_argument("--shifts", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    rows = []
    for row in spread(shift, range(asked.shifts), workers=asked.workers):
        rows.append(row)
        if len(rows) % TOLD_EVERY == 0:
            print(f"{len(rows)} of {asked.shifts} shifts", file=sys.stderr, flush=True)
    bad = [row for row in rows if row["outside"]]
    given_up = [row for row in rows if row["given_up"]]
    told = {
        "shifts": len(rows),
        "writes": sum(row["writes"] for row in rows),
        "outside": sum(len(row["outside"]) for row in rows),
        "shifts_with_writes_outside": bad,
        "given_up": len(given_up),
    }
    if asked.json:
        print(json.dumps(told, indent=1))
    else:
        print(
            f"{told['writes']} writes in {told['shifts']} shifts, {told['outside']} outside limits"
        )
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
