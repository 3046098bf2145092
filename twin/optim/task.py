"""What a station MPC is to do: the outputs it follows and keeps within bands, the setpoints it moves.

All weights are money, so that following, moving, exceeding and consuming can be compared: EUR per
squared unit of an error or a move, EUR per unit beyond a band, EUR per unit of a priced output or
setpoint, each per control step. Ranks say which band gives way last when not all can be kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from twin.optim.result import ProblemError
from twin.processes.model import ProcessModel, Quantity

__all__ = ["Aim", "Band", "Move", "TrackingTask", "visible"]


def visible(model: ProcessModel) -> tuple[Quantity, ...]:
    """What may be followed, kept, priced or measured: outputs, and states that no output is named after."""
    outputs = set(model.output_names)
    return (*model.outputs, *(q for q in model.states if q.name not in outputs))


@dataclass(frozen=True, slots=True)
class Aim:
    """An output (or state) that follows a reference; ``weight`` in EUR per squared unit and step."""

    output: str
    weight: float


@dataclass(frozen=True, slots=True)
class Move:
    """A setpoint as the controller may move it.

    ``lo`` to ``hi`` and ``rate_per_s`` are in its own unit and never exceeded. ``weight`` is the
    cost of a squared move, ``target_weight`` that of the squared distance from the calculated
    target, which decides where setpoints rest that are not needed to follow.
    """

    mv: str
    lo: float
    hi: float
    rate_per_s: float = math.inf
    weight: float = 0.0
    target_weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Band:
    """Soft limits of an output (or state); ``weight`` in EUR per unit beyond and step.

    Ranks decide where the station rests: rank 1 is kept longest. On the way there weights decide.
    """

    output: str
    lo: float = -math.inf
    hi: float = math.inf
    weight: float = 1.0
    rank: int = 1


@dataclass(frozen=True, slots=True)
class TrackingTask:
    """The task of one station's MPC; refused at once where it contradicts itself or the model.

    ``horizon`` counts control steps of ``step_s`` seconds (per-part models: parts, and ``step_s``
    is the time between two). ``blocks`` are lengths of stretches in which setpoints stay; the last
    goes on to the horizon; none means a move in each step. ``prices`` are EUR per unit of an
    output or MV and step. With aims they decide the target only, where setpoints rest that following
    does not need: in the course itself they would buy energy with an error that stays. Without aims
    the course is economic. ``dead_time_s`` is that of the slowest measurement or actuator.
    ``back_off_sd`` is how many standard deviations of what is not known bands are kept clear by.
    """

    model: ProcessModel
    step_s: float
    horizon: int
    moves: tuple[Move, ...]
    aims: tuple[Aim, ...] = ()
    bands: tuple[Band, ...] = ()
    prices: Mapping[str, float] = field(default_factory=dict)
    blocks: tuple[int, ...] = ()
    disturbances: tuple[str, ...] = ()
    dead_time_s: float = 0.0
    substeps: int = 0
    back_off_sd: float = 0.0

    def __post_init__(self) -> None:
        """Refuse names that the model lacks, limits that contradict, horizons that are too short."""
        self._refuse_names()
        self._refuse_limits()
        where = f"task for {self.model.name!r}"
        if self.horizon < 1:
            raise ProblemError(f"{where}: horizon is {self.horizon}; look at least one step ahead")
        if not (math.isfinite(self.step_s) and self.step_s > 0.0):
            raise ProblemError(f"{where}: step_s is {self.step_s}; give positive seconds")
        if not 0.0 <= self.dead_time_s < math.inf:
            raise ProblemError(
                f"{where}: dead_time_s is {self.dead_time_s}; give seconds from 0 on"
            )
        if self.horizon * self.step_s <= self.dead_time_s:
            raise ProblemError(
                f"{where}: the horizon of {self.horizon * self.step_s:g} s is shorter than the dead"
                f" time of {self.dead_time_s:g} s, so no move would be seen to do anything"
            )
        if any(length < 1 for length in self.blocks) or sum(self.blocks) > self.horizon:
            raise ProblemError(f"{where}: blocks {self.blocks} do not fit {self.horizon} steps")
        if not 0.0 <= self.back_off_sd < math.inf:
            raise ProblemError(f"{where}: back_off_sd is {self.back_off_sd}; give a finite number")
        if not (self.aims or self.bands or self.prices):
            raise ProblemError(f"{where}: nothing to follow, to keep or to pay for")

    @property
    def dynamic_prices(self) -> Mapping[str, float]:
        """The prices that count along the way."""
        return {} if self.aims else self.prices

    @property
    def free_steps(self) -> tuple[int, ...]:
        """The steps at which setpoints may move."""
        if not self.blocks:
            return tuple(range(self.horizon))
        begins = [sum(self.blocks[:n]) for n in range(len(self.blocks) + 1)]
        return tuple(k for k in begins if k < self.horizon)[: len(self.blocks)]

    def _refuse_names(self) -> None:
        model = self.model
        outputs, mvs = {q.name for q in visible(model)}, {q.name for q in model.mvs}
        named = [(a.output, outputs) for a in self.aims] + [(b.output, outputs) for b in self.bands]
        named += [(m.mv, mvs) for m in self.moves]
        named += [(name, outputs | mvs) for name in self.prices]
        unknown = [name for name, known in named if name not in known]
        if unknown:
            raise ProblemError(
                f"task for {model.name!r}: unknown {unknown}; outputs are {sorted(outputs)}, MVs"
                f" {sorted(mvs)}"
            )
        for what, names in (
            ("aims", [a.output for a in self.aims]),
            ("bands", [b.output for b in self.bands]),
            ("moves", [m.mv for m in self.moves]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ProblemError(f"task for {model.name!r}: {what} name {twice} twice")
        if not self.moves:
            raise ProblemError(f"task for {model.name!r}: no MV may be moved; list some in moves")

    def _refuse_limits(self) -> None:
        declared = {q.name: q for q in self.model.mvs}
        for move in self.moves:
            q = declared[move.mv]
            if not (math.isfinite(move.lo) and math.isfinite(move.hi)):
                raise ProblemError(
                    f"the problem is unbounded: {move.mv} may go from {move.lo} to {move.hi}; give it"
                    " finite limits"
                )
            if not move.lo <= move.hi:
                raise ProblemError(
                    f"contradictory limits of {move.mv}: {move.lo} to {move.hi} {q.unit}"
                )
            if move.lo < q.lo or move.hi > q.hi:
                raise ProblemError(
                    f"{move.mv}: {move.lo} to {move.hi} {q.unit} goes beyond {q.lo} to {q.hi}, where"
                    f" the model {self.model.name!r} holds"
                )
            if not move.rate_per_s > 0.0:
                raise ProblemError(f"{move.mv}: rate_per_s is {move.rate_per_s}; it could not move")
            if not (0.0 <= move.weight < math.inf and 0.0 <= move.target_weight < math.inf):
                raise ProblemError(f"{move.mv}: weights must be finite and not negative")
        self._refuse_weights()

    def _refuse_weights(self) -> None:
        for band in self.bands:
            if not band.lo <= band.hi:
                raise ProblemError(f"contradictory limits of {band.output}: {band.lo} to {band.hi}")
            if not 0.0 < band.weight < math.inf or band.rank < 1:
                raise ProblemError(
                    f"{band.output}: a band needs a positive weight and a rank from 1"
                )
        for aim in self.aims:
            if not 0.0 < aim.weight < math.inf:
                raise ProblemError(f"{aim.output}: an aim needs a finite, positive weight")
        for name, price in self.prices.items():
            if not math.isfinite(price):
                raise ProblemError(f"price of {name} is {price}; give a finite one")
