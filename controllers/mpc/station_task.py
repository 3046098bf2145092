"""What a continuous station's MPC is to do, from the plant file: nobody has to write a controller for it.

Qualities with a band are kept in it, targets are followed, electricity and gas are paid for. What weighs how
much follows from one number, the parts that the line would spoil in a step: so much costs half a band's
width off the target, or beyond the band. The shipped oven has a layer of its own (``controllers.mpc.oven_layer``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from controllers.mpc.tracking import StationMpc
from twin.analyze.kalman import Noise
from twin.config import PlantError, StationSpec
from twin.config.plant import SensorSpec
from twin.config.station_task import StationTaskSpec
from twin.line import schema as s
from twin.line.model import Line
from twin.objective import Objective
from twin.optim.linearised import Linearised
from twin.optim.result import Floats, ProblemError
from twin.optim.shooting import Here
from twin.optim.target import TargetProblem
from twin.optim.task import Aim, Band, Move, TrackingTask, visible
from twin.optim.transition import BIAS, Transition
from twin.processes.model import ProcessModel, Quantity

__all__ = ["StationTask", "station_task"]

LOOSE = 0.01
"""Half a band's width, as a share of the model's range, of a value that has a target and no band; assumption."""
MOVE_SHARE, REST_SHARE = 1.0, 1e-3
"""What a move through a setpoint's whole range costs, and resting so far from where it should, against the
parts that a step would spoil: the one calms, the other decides what nothing else does; assumptions."""
WALK_OF_RANGE, WALK_OF_NOISE = 0.005, 0.3
"""What is learned walks by that share of a setpoint's range in a step, a bias by that of its sensor's noise."""
LEAST_NOISE = 1e-4
"""Share of its range that a sensor without noise is taken to have; assumptions, all three."""
HAS_EFFECT = 0.02
"""A setpoint that moves a value by less than this share of its range, within the horizon, says nothing of it."""
OUT_OF_REACH = 0.05
"""Off by more than this share of half a band, what is wanted cannot be come to."""


@dataclass(frozen=True, slots=True, eq=False)
class StationTask:
    """The MPC of one station, built, and how its values are called in the plant.

    ``shown`` are the signals of what is measured, in the MPC's order; ``at_exit`` are those that a part shows
    when it leaves. ``references`` belong to the aims; ``d`` are the model's DVs where nothing tells them.
    """

    e: int
    name: str
    mpc: StationMpc
    step_s: float
    shown: tuple[str, ...]
    at_exit: frozenset[str]
    references: Floats
    d: Floats

    @property
    def model(self) -> ProcessModel:
        """The station's process model."""
        return self.mpc.task.model


def station_task(line: Line, e: int) -> StationTask | None:
    """The task of one continuous station; None if nothing is to be followed or kept there.

    Raises ``PlantError``, with names, for what cannot be: what `StationMpc` refuses, and bands and targets
    that no setpoints within the operator's limits come to.
    """
    try:
        return _Statement(line, e).task()
    except PlantError as error:
        raise line.plant.located(error) from error


class _Statement:
    """One station while its task is stated."""

    def __init__(self, line: Line, e: int) -> None:
        plant, k = line.plant, line.k
        self._line, self._e = line, e
        self._station: StationSpec = plant.stations[e - 1]
        self._model = model = line.elements[e].process
        self._asked = self._station.mpc or StationTaskSpec()
        p_c = k[s.ELEMENTS_K + e * s.EK + s.P_C]
        n_p, n_d = len(model.parameters), len(model.dvs)
        self._p = np.array(line.c[p_c : p_c + n_p])
        self._d = np.array(line.c[p_c + 2 * n_p : p_c + 2 * n_p + n_d])
        zones = [q.name for q in model.states if q.name.startswith("zone_")]
        self._at_exit = line.elements[e].outputs
        self._named = {f"zone_temp_{n + 1}_c": name for n, name in enumerate(zones)}
        self._named |= {name: name for name in ("power_kw", *self._at_exit)}
        """What the plant shows, by what the model calls it."""
        self._seen = {q.name: q for q in visible(model)}
        self._step_s = self._time_between()
        self._objective = Objective.of(plant)
        lost = self._objective.wip_eur_per_part
        lost -= float(plant.source.blank_kg) * self._objective.scrap_eur_per_kg
        made = float(plant.demand.capacity_good_parts_per_h) * self._step_s / 3600.0
        self._lost_eur = max(lost * made, 1e-3)

    def task(self) -> StationTask | None:
        """The whole of it."""
        wanted = [name for name in self._named if self._is_wanted(name)]
        self._refuse_targets()
        if not wanted:
            return None
        measured = {self._named[name]: self._noise_sd(name) for name in wanted}
        moves = self._moves()
        learns = self._learns(measured, moves)
        late_s, latest = max((self._sensor(name).delay_s, name) for name in wanted)
        targets = {self._named[name]: value for name, value in self._asked.targets.items()}
        try:
            task = TrackingTask(
                self._model,
                self._step_s,
                self._asked.horizon,
                moves,
                aims=tuple(Aim(name, self._lost_eur / self._half(name) ** 2) for name in targets),
                bands=tuple(self._bands(wanted)),
                prices=self._prices(),
                blocks=self._asked.blocks,
                disturbances=tuple(learns),
                dead_time_s=late_s,
                back_off_sd=self._asked.back_off_sd,
            )
            mpc = StationMpc(task, Noise(measured, learns, {}), p=self._p)
        except ProblemError as error:
            hint = "say under mpc what is to be done, and by which setpoints"
            if "dead time" in str(error):
                hint = f"{latest} is shown {late_s:g} s late: give a longer horizon, or step_s"
            raise self._wrong(("mpc",), str(error), hint) from error
        references = np.array(list(targets.values()), dtype=np.float64)
        self._refuse_unreachable(mpc, references)
        at_exit = frozenset(self._at_exit)
        name, shown = self._station.name, tuple(wanted)
        return StationTask(
            self._e, name, mpc, self._step_s, shown, at_exit, references, self._d
        )  # fmt: skip

    # --- what the plant file says ------------------------------------------------------------------

    def _wrong(self, key: tuple[str, ...], message: str, hint: str) -> PlantError:
        at = ("stations", self._line.plant.row(self._e - 1))
        return PlantError((*at, *key), f"station {self._station.name!r}: {message}", hint)

    def _time_between(self) -> float:
        """Seconds from solve to solve; by itself the horizon looks as far as a part takes to pass."""
        period_s, asked_s = self._line.plant.control.period_s, self._asked.step_s
        if asked_s is None:
            passes_s = self._station.places * 3600.0 / max(self._carriers_per_h(), 1e-3)
            return period_s * max(1, round(passes_s / self._asked.horizon / period_s))
        turns = max(round(asked_s / period_s), 1)
        if abs(asked_s / period_s - turns) > 1e-9:
            message = f"step_s = {asked_s:g} is no whole number of turns of the loop"
            raise self._wrong(("mpc", "step_s"), message, f"{turns * period_s:g} would be one")
        return asked_s

    def _carriers_per_h(self, **setpoints: float) -> float:
        return self._values(self._model.point().x, setpoints)["carriers_per_h"]

    def _sensor(self, shown: str) -> SensorSpec:
        key = "zone_temp_c" if shown.startswith("zone_temp_") else shown
        return self._station.sensors.get(key) or SensorSpec()

    def _is_wanted(self, shown: str) -> bool:
        """Whether it is followed or kept."""
        return shown in self._asked.targets or self._sensor(shown).band is not None

    def _refuse_targets(self) -> None:
        for name, value in self._asked.targets.items():
            at = ("mpc", "targets", name)
            if name not in self._named:
                hint = f"measured are {', '.join(self._named)}"
                raise self._wrong(at, f"{name!r} is not measured, so it cannot be followed", hint)
            lo, hi = self._sensor(name).band or self._range(self._named[name])
            if not lo <= value <= hi:
                message = f"contradictory limits: the target {value:g} of {name} lies outside {lo:g} to {hi:g}"
                raise self._wrong(at, message, "correct the target, or the band")

    def _range(self, name: str) -> tuple[float, float]:
        return self._seen[name].lo, self._seen[name].hi

    def _half(self, name: str) -> float:
        """Half the width of a value's band, in its unit."""
        shown = next(n for n, own in self._named.items() if own == name)
        lo, hi = self._range(name)
        band = self._sensor(shown).band
        return max(0.5 * (band[1] - band[0]), 1e-6) if band else LOOSE * ((hi - lo) or 1.0)

    def _noise_sd(self, shown: str) -> float:
        lo, hi = self._range(self._named[shown])
        return self._sensor(shown).noise_sd or LEAST_NOISE * ((hi - lo) or 1.0)

    # --- the task ------------------------------------------------------------------------------------

    def _bands(self, wanted: list[str]) -> list[Band]:
        found = []
        for shown in wanted:
            band, name = self._sensor(shown).band, self._named[shown]
            if band is not None:
                found.append(Band(name, *band, weight=self._lost_eur / self._half(name)))
        return found

    def _learns(self, measured: Mapping[str, float], moves: Sequence[Move]) -> dict[str, float]:
        """Disturbances with their walk, one for each measured value where the plant file names none.

        That is what enters with the setpoint that has most effect on the value: a load that comes or goes acts
        there too, and a constant error of the value itself would be learned too late. A value without a
        setpoint of its own has such an error.
        """
        if self._asked.learns:
            found = {}
            for name, walk in self._asked.learns.items():
                known = self._named.get(name.removeprefix(BIAS), name.removeprefix(BIAS))
                found[f"{BIAS}{known}" if name.startswith(BIAS) else name] = walk
            return found
        gains = self._gains(list(measured), moves)
        found = {}
        for name, noise_sd in measured.items():
            by, size = max(gains[name].items(), key=lambda item: item[1], default=("", 0.0))
            if size > HAS_EFFECT and by not in found:
                found[by] = WALK_OF_RANGE * next(m.hi - m.lo for m in moves if m.mv == by)
            else:
                found[f"{BIAS}{name}"] = WALK_OF_NOISE * noise_sd
        return found

    def _gains(self, names: list[str], moves: Sequence[Move]) -> dict[str, dict[str, float]]:
        """What a move through its whole range does to each value by the end of the horizon, in its range."""
        t = Transition(self._model, self._step_s, (), self._p)
        linear, at = Linearised(t, names), self._model.point()
        x, by_u = at.x, np.zeros((t.n_x, t.n_u))
        for _ in range(self._asked.horizon):
            x, A, B = linear.ahead(x, at.u, self._d)
            by_u = A @ by_u + B
        _, C, D = linear.measured(x, at.u, self._d)
        moved = np.abs(C @ by_u + D)
        mvs = [q.name for q in self._model.mvs]
        return {
            name: {
                m.mv: float(moved[n, mvs.index(m.mv)])
                * (m.hi - m.lo)
                / (np.ptp(self._range(name)) or 1.0)
                for m in moves
            }
            for n, name in enumerate(names)
        }

    def _moves(self) -> tuple[Move, ...]:
        """The setpoints, by the operator's limits; by itself it leaves switches and the pace alone."""
        declared = {q.name: q for q in self._model.mvs}
        unknown = [name for name in self._asked.moves if name not in declared]
        if unknown:
            message = f"{', '.join(unknown)} is no setpoint of {self._station.model}"
            raise self._wrong(("mpc", "moves"), message, f"known: {', '.join(declared)}")
        names = self._asked.moves or [name for name, q in declared.items() if self._is_free(q)]
        found = []
        for name in names:
            spec = self._station.setpoints[name]
            if spec.discrete:
                message = f"{name} is discrete and cannot be moved by small steps"
                raise self._wrong(("mpc", "moves"), message, "leave it out")
            lo, hi = spec.operator
            square = ((hi - lo) or 1.0) ** 2
            found.append(
                Move(
                    name,
                    lo,
                    hi,
                    spec.rate_per_s,
                    weight=MOVE_SHARE * self._lost_eur / square,
                    target_weight=REST_SHARE * self._lost_eur / square,
                )
            )
        return tuple(found)

    def _is_free(self, q: Quantity) -> bool:
        """Whether the station layer may have this setpoint: no switch, and not the line's pace."""
        spec, start = self._station.setpoints[q.name], float(q.default or 0.0)
        other = q.hi if start < q.hi else q.lo
        same_pace = self._carriers_per_h() == self._carriers_per_h(**{q.name: other})
        return not spec.discrete and same_pace and spec.operator[0] < spec.operator[1]

    def _prices(self) -> dict[str, float]:
        """EUR of a kilowatt over one step, at the mean of the plant's tariff."""
        kwh = 1e-3 * self._step_s / 3600.0
        electricity = max(self._objective.usual_eur_per_mwh, 1.0) * kwh
        return {"power_kw": electricity, "gas_kw": self._objective.gas_eur_per_mwh * kwh}

    def _values(self, x: Floats, setpoints: Mapping[str, float]) -> dict[str, float]:
        """Outputs and states at a state and setpoints, the others at their reference."""
        u = self._model.point(**setpoints).u
        y = self._model.numbers()(x, u, self._d, self._p)
        states = zip((q.name for q in self._model.states), x.tolist(), strict=True)
        return dict(states) | dict(zip(self._model.output_names, y, strict=True))

    def _refuse_unreachable(self, mpc: StationMpc, references: Floats) -> None:
        """Raise ``PlantError`` where the operator's limits hold no rest at the model's own reference."""
        task, at = mpc.task, self._model.point()
        here = Here(at.x, at.u, references, self._d, np.zeros(len(task.disturbances)))
        rest = TargetProblem(replace(task, back_off_sd=0.0), self._p).solve(here)
        if not rest.usable:
            return  # nothing can be said
        by = [move.mv for move in task.moves]
        values = self._values(rest.x, dict(zip(by, rest.u.tolist(), strict=True)))
        off = [(b.output, float(rest.beyond[n])) for n, b in enumerate(task.bands)]
        off += [
            (aim.output, abs(values[aim.output] - wanted))
            for aim, wanted in zip(task.aims, references, strict=True)
        ]
        for name, beyond in off:
            if beyond > OUT_OF_REACH * self._half(name):
                shown = next(n for n, own in self._named.items() if own == name)
                message = (
                    f"contradictory limits: {shown} comes to {values[name]:.4g}"
                    f" {self._seen[name].unit} at best, with {', '.join(by)} within the operator's limits"
                )
                raise self._wrong(
                    ("mpc",), message, "widen the limits, or correct the band or target"
                )
