"""One controller's shift on the true line: the task of an evaluation, for any process to take."""

from __future__ import annotations

import asyncio
import math
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from twin.cli.ceiling import ALL, BOUND, HINDSIGHT, MPC_TRUE, bound_record, foreseeing, in_hindsight
from twin.cli.contenders import Contender, TrainedPolicy
from twin.cli.shift import Shift

if TYPE_CHECKING:
    from twin.cycle import Cycle
    from twin.equipment.plc import Plc
    from twin.line.model import Line

NOT_HELD = {"made": 0, "clipped": 0, "fallbacks": 0, "not_closed": 0}
POINTS = ("median_s", "p99_s", "longest_s")
NO_TIME = {
    **{f"{what}_{point}": 0.0 for what in ("decision", "controller") for point in POINTS},
    "deadlines_missed": 0,
}
"""``decision``: a whole turn of the loop, twin and guard included; ``controller``: what the controller takes of it."""


@dataclass(frozen=True, slots=True)
class Episode:
    """Who drives which shift. Everything that moves a figure lies in here."""

    shift: Shift
    controller: str
    """The contender's name: for a policy with its training seed, ``rl:3``."""
    policy: TrainedPolicy | None = None

    @property
    def key(self) -> tuple[str, str, float, str, int]:
        """What distinguishes it from all others of one plant."""
        shift = self.shift
        return self.controller, shift.scenario, shift.demanded, shift.variant, shift.seed

    def command(self) -> str:
        """The same shift from the shell; its ``kpi.json`` has these very figures."""
        from twin.feedback.evaluation import family

        shift, length = self.shift, f"{self.shift.hours * 3600.0!r}s"
        played = "" if self.policy is None else f"--policy {shlex.quote(self.policy.path)} "
        return (
            f"twin run --plant {shift.place} --in-process --shift {length} --seed {shift.seed} "
            f"--controller {family(self.controller)} {played}--scenario {shift.scenario} "
            f"--variant {shift.variant} --utilisation {shift.demanded!r} --json"
        )


def play(episode: Episode) -> dict[str, Any]:
    """Run the shift in this process; the record of an evaluation's file.

    The same for the same episode, wherever it is played, but for ``timing``.
    """
    from twin.cli.results import versions
    from twin.cli.tuned import baseline, code_sha256, inputs_sha256
    from twin.feedback.bands import Bands
    from twin.feedback.evaluation import family
    from twin.plugins import find_controller

    shift, name = episode.shift, family(episode.controller)
    drivers = () if name in ALL else (name,)
    tuned = baseline(shift.place, shift.plant, shift.demanded, shift.variant, drivers)
    point, doubt, line = tuned.point, tuned.doubt, shift.nominal_line
    inputs = inputs_sha256(shift, point)
    if episode.policy is not None:
        point = episode.policy.given_to(point, name)
    if name == BOUND:
        record, doubt = bound_record(shift)
        driven = _Driven(record, dict(NO_TIME), dict(NOT_HELD), Bands().record())
    elif name == MPC_TRUE:
        plc = shift.plc()
        driven = _driven(shift, foreseeing(shift, point, plc), plc.line, plc)
    else:
        if name == HINDSIGHT:
            point, name = in_hindsight(shift, point), "fixed"
        controller = find_controller(name)(line, point)
        driven = _driven(shift, controller, line, shift.plc())
    who, scenario, utilisation, variant, seed = episode.key
    return {
        "controller": who,
        "scenario": scenario,
        "utilisation": utilisation,
        "variant": variant,
        "seed": seed,
        "shift_h": shift.hours,
        "plant": shift.place,
        "plant_hash": shift.plant.config_hash,
        "inputs_sha256": inputs,
        "code_sha256": code_sha256(),
        "versions": versions(),
        "policy": None if episode.policy is None else episode.policy.record(),
        "kpi": driven.kpi,
        "truth": driven.truth,
        "decisions": driven.decisions,
        "stood_in": None if episode.policy is None else driven.stood_in,
        "violations": driven.violations,
        "setpoints": dict(point.setpoints) if who == HINDSIGHT else None,
        "doubt": doubt,
        "command": None if who in ALL else episode.command(),
        "timing": driven.timing,
    }


@dataclass(frozen=True, slots=True)
class _Driven:
    """What came of a shift: figures, how long decisions took, which were held back, bands left."""

    kpi: dict[str, Any]
    timing: dict[str, float]
    decisions: dict[str, int]
    violations: dict[str, float]
    stood_in: int = 0
    """Decisions that a policy has left to its fallback."""
    truth: dict[str, float] = field(default_factory=dict)
    """What only the true line knows, by figure."""


def _driven(shift: Shift, controller: Any, model: Line, plc: Plc) -> _Driven:
    """The shift with a closed loop over ``model``."""
    from twin.act.asked import has_stood_in
    from twin.cli.results import spread_of
    from twin.cli.shift import TWIN_SEED
    from twin.cli.timed import Timed
    from twin.equipment.simulated import SimulatedEquipment
    from twin.feedback import evaluate, kpi_record
    from twin.feedback.bands import Bands
    from twin.feedback.compare import ENERGY_COST
    from twin.feedback.compared import COST_OF_ALL, SCRAP, TOOLS
    from twin.line.expectation import (
        expected_scrap_eur_per_good_part,
        expected_scrap_share,
        expected_tool_cost_eur_per_good_part,
        spoilt_is_scrapped,
    )
    from twin.loop import ControlLoop
    from twin.runtime import EquipmentClock, Runtime

    timed = Timed(controller)
    loop = ControlLoop(model, timed, TWIN_SEED, shift.engine)
    line = SimulatedEquipment(plc)
    runtime = Runtime(loop, line, EquipmentClock(line))
    runtime.command("close", "evaluation")
    held, bands, stood_in = dict(NOT_HELD), Bands(loop.signals), 0

    def count(cycle: Cycle) -> None:
        nonlocal stood_in
        decision = cycle.decision
        held["made"] += 1
        held["clipped"] += bool(decision.clips)
        held["fallbacks"] += "fallback" in decision.asked.status
        stood_in += has_stood_in(decision.asked)
        held["not_closed"] += decision.mode != "CLOSED"
        bands.look(cycle.reading)

    asyncio.run(runtime.run(0, round(shift.hours * 3.6e9), count))
    told = spread_of("decision", runtime.timings.decisions) | spread_of("controller", timed.taken)
    taken = {name: value or 0.0 for name, value in told.items()}
    patience_s = shift.plant.control.deadline_s
    taken["deadlines_missed"] = runtime.timings.decisions.longer_than(patience_s)
    found, truth = evaluate(loop.ledger), {}
    tools_eur = expected_tool_cost_eur_per_good_part(plc.line, plc.state)
    if math.isfinite(tools_eur):
        truth[TOOLS] = tools_eur
    if spoilt_is_scrapped(plc.line.plant):
        truth[SCRAP] = expected_scrap_share(plc.line, plc.state)
        scrap_eur = expected_scrap_eur_per_good_part(plc.line, plc.state)
        if ENERGY_COST in found and math.isfinite(tools_eur + scrap_eur):
            truth[COST_OF_ALL] = found[ENERGY_COST] + scrap_eur + tools_eur
    return _Driven(kpi_record(found), taken, held, bands.record(), stood_in, truth)


def episodes(
    shift: Shift,
    controllers: tuple[Contender, ...],
    scenarios: tuple[str, ...],
    utilisations: tuple[float, ...],
    shifts: int,
) -> list[Episode]:
    """Every controller on every shift; the same shifts for all."""
    return [
        Episode(
            replace(shift, seed=shift.seed + n, scenario=scenario, utilisation=utilisation),
            one.name,
            one.policy,
        )
        for scenario in scenarios
        for utilisation in utilisations
        for n in range(shifts)
        for one in controllers
    ]
