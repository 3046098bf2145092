"""One controller's shift on the true line: the task of an evaluation, for any process to take."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from twin.cli.ceiling import ALL, BOUND, HINDSIGHT, MPC_TRUE, bound_record, foreseeing, in_hindsight
from twin.cli.shift import Shift

if TYPE_CHECKING:
    from twin.equipment.plc import Plc
    from twin.line.model import Line

NOT_HELD = {"made": 0, "clipped": 0, "fallbacks": 0, "not_closed": 0}
NO_TIME = {"decision_median_s": 0.0, "decision_longest_s": 0.0}


@dataclass(frozen=True, slots=True)
class Episode:
    """Who drives which shift. Everything that moves a figure lies in here."""

    shift: Shift
    controller: str

    @property
    def key(self) -> tuple[str, str, float, str, int]:
        """What distinguishes it from all others of one plant."""
        shift = self.shift
        return self.controller, shift.scenario, shift.demanded, shift.variant, shift.seed

    def command(self) -> str:
        """The same shift from the shell; its ``kpi.json`` has these very figures."""
        shift, length = self.shift, f"{self.shift.hours * 3600.0!r}s"
        return (
            f"twin run --plant {shift.place} --in-process --shift {length} --seed {shift.seed} "
            f"--controller {self.controller} --scenario {shift.scenario} --variant {shift.variant} "
            f"--utilisation {shift.demanded!r} --json"
        )


def play(episode: Episode) -> dict[str, Any]:
    """Run the shift in this process; the record of an evaluation's file.

    The same for the same episode, wherever it is played, but for ``timing``.
    """
    from twin.cli.tuned import baseline
    from twin.plugins import find_controller

    shift, name = episode.shift, episode.controller
    tuned = baseline(shift.place, shift.plant, shift.demanded, shift.variant)
    point, doubt, line = tuned.point, tuned.doubt, shift.nominal_line
    if name == BOUND:
        record, doubt = bound_record(shift)
        timing, held = dict(NO_TIME), dict(NOT_HELD)
    elif name == MPC_TRUE:
        plc = shift.plc()
        record, timing, held = _driven(shift, foreseeing(shift, point, plc), plc.line, plc)
    else:
        if name == HINDSIGHT:
            point, name = in_hindsight(shift, point), "fixed"
        controller = find_controller(name)(line, point)
        record, timing, held = _driven(shift, controller, line, shift.plc())
    who, scenario, utilisation, variant, seed = episode.key
    return {
        "controller": who,
        "scenario": scenario,
        "utilisation": utilisation,
        "variant": variant,
        "seed": seed,
        "shift_h": shift.hours,
        "plant_hash": shift.plant.config_hash,
        "kpi": record,
        "decisions": held,
        "setpoints": dict(point.setpoints) if who == HINDSIGHT else None,
        "doubt": doubt,
        "command": None if who in ALL else episode.command(),
        "timing": timing,
    }


def _driven(
    shift: Shift, controller: Any, model: Line, plc: Plc
) -> tuple[dict[str, Any], dict[str, float], dict[str, int]]:
    """The shift with a closed loop over ``model``: figures, how long decisions took, which were held back."""
    from twin.cli.results import timing_file
    from twin.cli.shift import TWIN_SEED
    from twin.cycle import Cycle
    from twin.equipment.simulated import SimulatedEquipment
    from twin.feedback import evaluate, kpi_record
    from twin.loop import ControlLoop
    from twin.runtime import EquipmentClock, Runtime

    loop = ControlLoop(model, controller, TWIN_SEED, shift.engine)
    line = SimulatedEquipment(plc)
    runtime = Runtime(loop, line, EquipmentClock(line))
    runtime.command("close", "evaluation")
    held = dict(NOT_HELD)

    def count(cycle: Cycle) -> None:
        decision = cycle.decision
        held["made"] += 1
        held["clipped"] += bool(decision.clips)
        held["fallbacks"] += "fallback" in decision.asked.status
        held["not_closed"] += decision.mode != "CLOSED"

    asyncio.run(runtime.run(0, round(shift.hours * 3.6e9), count))
    timing = timing_file({"it": runtime.timings})["it"]
    taken = {name: float(timing[name] or 0.0) for name in timing if name.startswith("decision")}
    return kpi_record(evaluate(loop.ledger)), taken, held


def episodes(
    shift: Shift,
    controllers: tuple[str, ...],
    scenarios: tuple[str, ...],
    utilisations: tuple[float, ...],
    shifts: int,
) -> list[Episode]:
    """Every controller on every shift; the same shifts for all."""
    return [
        Episode(
            replace(shift, seed=shift.seed + n, scenario=scenario, utilisation=utilisation), name
        )
        for scenario in scenarios
        for utilisation in utilisations
        for n in range(shifts)
        for name in controllers
    ]
