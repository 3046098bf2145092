"""The per-part stations of a line as the optimiser sees them: models, limits, prices, offsets.

All expressions come from the process models as declared, so a plug-in's station is optimised like
a built-in one. Letters: ``u`` setpoints in their own units, ``z`` the same scaled to [0, 1] between
the operator limits, ``c`` cycle time in seconds, ``e`` electricity of a cycle in kWh.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from controllers.break_even import break_even_s
from twin.config import PlantError, StationSpec
from twin.cycle import Situation
from twin.line import schema as s
from twin.line.model import Line
from twin.objective import Objective
from twin.optim.expressions import numeric
from twin.optim.smooth import Expression
from twin.processes.model import ProcessModel

MEAN_WEAR_SHARE = 0.5
"""An edge is half worn on average; what the mean cycle of a station costs is taken there."""


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One per-part station: constants of the plant file, ready for equations."""

    e: int
    name: str
    spec: StationSpec
    model: ProcessModel
    mvs: tuple[str, ...]
    outputs: tuple[str, ...]
    lo: NDArray[np.float64]
    hi: NDArray[np.float64]
    rates_per_s: NDArray[np.float64]
    """How fast the setpoints may move, scaled as they are."""
    p: NDArray[np.float64]
    d: NDArray[np.float64]
    d_signals: tuple[tuple[int, str], ...]
    share: float
    """Share of the line's parts that pass this station: 1, or less among parallel ones (``shares_of``)."""
    availability: float
    standby_kw: float
    idle_kw: float
    warm_up_kw: float
    warm_up_s: float
    edge_eur: float
    life_mm: float
    change_s: float
    takes_from: str
    gives_to: str

    def disturbances(self, situation: Situation) -> NDArray[np.float64]:
        """The model's disturbances now."""
        d = self.d.copy()
        for n, signal in self.d_signals:
            value = situation.observation[signal]
            if not math.isnan(value):
                d[n] = value
        return d

    def ratio(self, situation: Situation, quantity: str) -> float:
        """The learned factor between plant and model, kept within reason."""
        found = situation.estimate.disturbance.get(f"{self.name}.{quantity}", 1.0)
        return min(max(found, 0.5), 2.0)

    def learned(self, situation: Situation) -> Cell:
        """The station with what the plant has shown of its waiting by now."""
        known = situation.estimate.disturbance
        return replace(
            self,
            idle_kw=self.idle_kw * known.get(f"{self.name}.idle_kw", 1.0),
            standby_kw=self.standby_kw * known.get(f"{self.name}.standby_kw", 1.0),
            warm_up_s=self.warm_up_s * known.get(f"{self.name}.warm_up_s", 1.0),
        )

    @property
    def spoils_after_rest(self) -> bool:
        """Whether parts are scrap after a rest, and setpoints can make it slower instead."""
        return bool(self.mvs) and self.spec.restart_scrap_parts > 0

    @property
    def keeps_course(self) -> bool:
        """Whether it keeps the cycle of the steady course itself, and may not be quicker.

        Who is one of several would take parts from the others, who winds down would rest too soon.
        """
        return self.share < 1.0 or self.spoils_after_rest

    @property
    def is_held(self) -> bool:
        """Whether it may not sleep and wake as often as one likes."""
        return self.spec.standby and max(self.spec.min_ready_s, self.spec.min_standby_s) > 0.0

    @property
    def break_even_s(self) -> float:
        """The shortest rest that pays, with what has been learned of the station by now."""
        return break_even_s(self.idle_kw, self.standby_kw, self.warm_up_kw, self.warm_up_s)

    def equations(
        self, u: Expression, d: Expression, wear_mm: float
    ) -> tuple[Expression, Expression, Expression, Expression, list[Expression], Expression]:
        """Cycle time, energy, defect probability, edges used, quality outputs, material."""
        x = numeric([wear_mm] * len(self.model.states))
        y = self.model.symbols()(x, u, d, numeric(self.p.tolist()))
        edges = y[4] / self.life_mm if self.life_mm else 0.0 * y[4]
        return self.with_changes_s(y), y[1], y[3], edges, list(y[5:]), y[2]

    @property
    def half_worn(self) -> NDArray[np.float64]:
        """The state of the station with the mean edge."""
        return np.full(len(self.model.states), MEAN_WEAR_SHARE * self.life_mm)

    def outputs_at(self, setpoints: Mapping[str, float]) -> NDArray[np.float64]:
        """What the model says of a cycle with an edge that is half worn, the disturbances as usual."""
        u = self.lo + self.scaled(setpoints) * (self.hi - self.lo)
        return np.asarray(self.model.numbers()(self.half_worn, u, self.d, self.p))

    def with_changes_s(self, y: Expression) -> Expression:
        """The cycle time of such outputs: changing the edge takes time too, spread over the parts that it makes."""
        return y[0] + (self.change_s * (y[4] / self.life_mm) if self.life_mm else 0.0)

    def unscaled(self, z: NDArray[np.float64]) -> dict[str, float]:
        """Setpoints by signal name."""
        u = self.lo + z * (self.hi - self.lo)
        return {f"{self.name}.{mv}": float(v) for mv, v in zip(self.mvs, u, strict=True)}

    def scaled(self, setpoints: Mapping[str, float]) -> NDArray[np.float64]:
        """The same, scaled; missing ones stand in the middle."""
        middle = 0.5 * (self.lo + self.hi)
        u = np.array(
            [setpoints.get(f"{self.name}.{mv}", middle[n]) for n, mv in enumerate(self.mvs)]
        )
        span = np.where(self.hi > self.lo, self.hi - self.lo, 1.0)
        return np.clip((u - self.lo) / span, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Prices:
    """What the optimiser pays, EUR."""

    energy_eur_per_kwh: float
    scrap_eur: float
    """A part lost at the end of the line: its material and the work in it."""
    backlog_eur: float
    peak_eur_per_kw: float = 0.0
    """Of the shift's highest quarter of an hour."""
    paid_kw: float = math.inf
    """What the line may draw over a quarter of an hour without a new peak."""


def prices_of(
    objective: Objective, situation: Situation, blank_kg: float, added_kg: float, paid_kw: float
) -> Prices:
    """Prices of this moment; an unknown electricity price is the usual one of the plant.

    ``blank_kg`` is what a part weighs where it enters, ``added_kg`` what the stations add to it.
    """
    price = situation.observation["env.price_eur_per_mwh"]
    energy = objective.usual_eur_per_mwh if math.isnan(price) else price
    worth = objective.wip_eur_per_part + added_kg * objective.material_eur_per_kg
    scrap = worth - (blank_kg + added_kg) * objective.scrap_eur_per_kg
    # A negative price must not make waste worth while.
    return Prices(
        max(energy, 1.0) * 1e-3,
        max(scrap, 0.0),
        objective.backlog_eur_per_part,
        objective.peak_eur_per_kw,
        paid_kw,
    )


def cells_of(line: Line) -> tuple[Cell, ...]:
    """All per-part stations of a line, in its order."""
    plant = line.plant
    found = []
    for n, element in enumerate(line.stations):
        if element.kind != s.STATION or element.model is None:
            continue
        e, spec, model = n + 1, plant.stations[n], element.model
        ek = s.ELEMENTS_K + e * s.EK
        p_c, n_p = line.k[ek + s.P_C], line.k[ek + s.N_P]
        n_d = line.k[ek + s.N_D]
        names = [q.name for q in model.dvs]
        beside = [st for st in plant.stations if st.takes_from == spec.takes_from]
        down = sum(float(f.mean_repair_s) / float(f.mean_between_s) for f in spec.failures.values())
        operator = np.array([spec.setpoints[mv].operator for mv in element.setpoints])
        operator = operator.reshape(-1, 2)
        span = np.where(operator[:, 1] > operator[:, 0], operator[:, 1] - operator[:, 0], 1.0)
        rates = np.array([spec.setpoints[mv].rate_per_s for mv in element.setpoints])
        cc = e * s.EC
        found.append(
            Cell(
                e=e,
                name=spec.name,
                spec=spec,
                model=model,
                mvs=element.setpoints,
                outputs=element.outputs,
                lo=operator[:, 0],
                hi=operator[:, 1],
                rates_per_s=rates / span,
                p=np.array(line.c[p_c : p_c + n_p]),
                d=np.array(line.c[p_c + 2 * n_p : p_c + 2 * n_p + n_d]),
                d_signals=tuple(
                    (k, f"env.{name}") for k, name in enumerate(names) if name in plant.disturbances
                ),
                share=1.0 / len(beside),
                availability=1.0 / (1.0 + down),
                standby_kw=line.c[cc + s.C_STANDBY_KW],
                idle_kw=line.c[cc + s.C_IDLE_KW],
                warm_up_kw=line.c[cc + s.C_WARM_UP_KW],
                warm_up_s=line.c[cc + s.C_WARM_UP_S],
                edge_eur=float(spec.tool.edge_cost_eur) if spec.tool else 0.0,
                life_mm=float(spec.tool.end_of_life_mm) if spec.tool else 0.0,
                change_s=float(spec.tool.change_s) if spec.tool else 0.0,
                takes_from=spec.takes_from,
                gives_to=spec.gives_to,
            )
        )
    return tuple(found)


def refuse_idle_moves(line: Line, cells: tuple[Cell, ...]) -> None:
    """Raise ``PlantError`` for a setpoint on which no output of its station's model depends.

    Nothing would say where it should be: a solver would leave it wherever it began.
    """
    for cell in cells:
        x = cell.half_worn
        middle = 0.5 * (cell.lo + cell.hi)
        for n, mv in enumerate(cell.mvs):
            found = set()
            for value in (cell.lo[n], middle[n], cell.hi[n]):
                u = np.where(np.arange(len(middle)) == n, value, middle)
                found.add(cell.model.numbers()(x, u, cell.d, cell.p))
            if len(found) == 1 and cell.hi[n] > cell.lo[n]:
                at = ("stations", line.plant.row(cell.e - 1), "setpoints", mv)
                message = f"station {cell.name!r}: no output of {cell.spec.model} depends on {mv}"
                error = PlantError(
                    at, message, "leave it out, or give its operator limits no width"
                )
                raise line.plant.located(error)


def shares_of(cells: Sequence[Cell], cycles_s: Sequence[Expression]) -> tuple[Expression, ...]:
    """The share of the line's parts that passes each station, at cycle times that may be numbers or expressions.

    Stations that take from one buffer take whenever they are done: who is faster, and down less, makes more.
    """
    rates = [cell.availability / cycle_s for cell, cycle_s in zip(cells, cycles_s, strict=True)]
    shares: list[Expression] = []
    for cell, rate in zip(cells, rates, strict=True):
        beside = [n for n, other in enumerate(cells) if other.takes_from == cell.takes_from]
        if len(beside) == 1:
            shares.append(cell.share)
        else:
            together = sum(cells[n].share for n in beside)
            shares.append(together * rate / sum(rates[n] for n in beside))
    return tuple(shares)


@dataclass(frozen=True, slots=True)
class PerPart:
    """What one part takes at given setpoints, by the nominal model."""

    edges_eur: float
    defects: float
    added_kg: float
    """Material that the stations add to the blank."""


def per_part_at(cells: tuple[Cell, ...], setpoints: Mapping[str, float]) -> PerPart:
    """Edges, defects and material of a part, each station by its share of the parts."""
    edges_eur = defects = added_kg = 0.0
    outputs = [cell.outputs_at(setpoints) for cell in cells]
    cycles_s = [cell.with_changes_s(y) for cell, y in zip(cells, outputs, strict=True)]
    for cell, y, share in zip(cells, outputs, shares_of(cells, cycles_s), strict=True):
        defects += share * y[3]
        added_kg += share * y[2]
        if cell.life_mm:
            edges_eur += share * cell.edge_eur * y[4] / cell.life_mm
    return PerPart(float(edges_eur), float(defects), float(added_kg))


def leads_at(
    cells: tuple[Cell, ...], setpoints: Mapping[str, float], factors: Sequence[float]
) -> tuple[float, ...]:
    """How long each station takes for a part, its usual failures included, as a share of the longest on the line.

    ``factors`` are the learned ones of the cycle times. Stations that take from one buffer share their parts, so one
    of them speaks for all. Where nobody sets anything it is 1: such a station keeps any pace that it can.
    """
    cycles_s = [
        cell.with_changes_s(cell.outputs_at(setpoints)) * factor
        for cell, factor in zip(cells, factors, strict=True)
    ]
    stage_s = {
        cell.takes_from: share * cycle_s / cell.availability
        for cell, cycle_s, share in zip(cells, cycles_s, shares_of(cells, cycles_s), strict=True)
    }
    is_set = {cell.takes_from for cell in cells if cell.mvs}
    longest = max(stage_s.values(), default=1.0)
    return tuple(
        stage_s[cell.takes_from] / longest if cell.takes_from in is_set else 1.0 for cell in cells
    )
