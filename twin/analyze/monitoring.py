"""Whether the model of each station is still to be believed, and whether its quality is well controlled.

Each measured part tells by how many standard deviations the model, with what it has learned, was off. A
CUSUM adds up what goes beyond chance to one side (Page, Biometrika 41 (1954) 100):

    S+ <- max(0, S+ + e - k)      S- <- max(0, S- - e - k)      alarm at S > h

A correction that has grown out of all reason is the other sign: the model is then no model of that
station. A slow drift is the third: the correction follows it, so that no part is a surprise, and what is left to see is
that it has gone far from where it had settled. Once the setpoints of its station have moved far it settles anew: a
model that is wrong about what they do is corrected anew. For each quality there is an index of how much of its scatter no controller could take away
(Harris, Can. J. Chem. Eng. 67 (1989) 856): the variance of what is new in each part over all variance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from twin.analyze.offset import Offset
from twin.cycle import Health, Observation
from twin.line.model import Line

SLACK_SD, ALARM_SD = 1.0, 25.0
"""k and h in standard deviations of one part. A shift of 3 raises an alarm after a dozen parts; how
rarely a sound line does is measured in docs/explanation/twin.md."""
MOST_SD = 6.0
"""One part counts as this at most: a single wild measurement is no drift."""
FACTORS = (".last_energy_kwh", ".last_cycle_s", ".gas_kwh")
"""What is watched beside the qualities with a band: these corrections are factors."""
MOST_FACTOR = 2.0
"""A factor beyond it, or below its inverse, is not followed by the controllers either."""
BAND_SHARE = 0.5
"""A correction of a quality by more than this share of its band is out of reason; assumption."""
SETTLED, DRIFT_SHARE = 30, 0.2
"""After so many parts the correction of a quality has settled; from there it may go this share of the band. On the three
shipped lines it goes 0.09 at most in a shift under simple rules, in all scenarios without a drifting sensor
(docs/explanation/twin.md)."""
NEAR = 0.1
"""Share of its operator limits that a setpoint may move before what the model says of it has to settle anew."""
REMEMBERED, ORDER = 100, 3
"""Parts that the index looks back on, and how many parts before one tell of it."""


@dataclass(slots=True)
class Watched:
    """What is remembered of one quantity: both sums, parts so far, the newest values of a quality.

    ``least_scatter`` is that of those values; it is worked out a part, not a turn.
    """

    above_sd: float = 0.0
    below_sd: float = 0.0
    times: int = 0
    doubt: str = ""
    settled: float = math.nan
    """The correction of a quality when it had settled."""
    about: tuple[float, ...] = ()
    still: int = 0
    """Where its station's setpoints stood when they last moved far, as shares of their limits; parts since."""
    values: list[float] = field(default_factory=list)
    least_scatter: float = math.nan

    def note(self, innovation_sd: float) -> None:
        """Take in one part."""
        error = min(max(float(innovation_sd), -MOST_SD), MOST_SD)
        self.above_sd = max(0.0, self.above_sd + error - SLACK_SD)
        self.below_sd = max(0.0, self.below_sd - error - SLACK_SD)

    def settle(self, correction: float, parts: int, setpoints: tuple[float, ...]) -> None:
        """Take in the correction of a quality after some parts, and its station's setpoints as shares of their limits.

        A doubt that stands is not settled by moving a setpoint, nor by one that is not known at present.
        """
        has_moved = len(self.about) < len(setpoints) or any(
            abs(a - b) > NEAR for a, b in zip(self.about, setpoints, strict=True)
        )
        if has_moved and not self.doubt and all(map(math.isfinite, setpoints)):
            self.about, self.still, self.settled = setpoints, 0, math.nan
        self.still += parts
        if math.isnan(self.settled) and self.still >= SETTLED:
            self.settled = correction

    @property
    def sum_sd(self) -> float:
        """The greater of both sums."""
        return max(self.above_sd, self.below_sd)


class Monitor:
    """Watches the corrections of all stations of one line."""

    def __init__(self, line: Line) -> None:
        self._bands = {
            f"{station.name}.{name}": sensor.band
            for station in line.plant.stations
            for name, sensor in station.sensors.items()
            if sensor.band is not None
        }
        self._ranges = {
            station.name: {
                f"{station.name}.{mv}": setpoint.operator
                for mv, setpoint in station.setpoints.items()
            }
            for station in line.plant.stations
        }

    def _setpoints(self, name: str, seen: Observation) -> tuple[float, ...]:
        """The setpoints of a quantity's station, as shares of their operator limits."""
        ranges = self._ranges[name.rpartition(".")[0]]
        return tuple((seen[mv] - lo) / (hi - lo) for mv, (lo, hi) in ranges.items() if hi > lo)

    def update(
        self, seen: Observation, offsets: Mapping[str, Offset], memory: dict[str, Watched]
    ) -> dict[str, str]:
        """Take in what was measured since the last call; the doubts that are new, by quantity.

        An alarm of the sum is new each time, for it begins again at 0: what went on went on.
        """
        raised = {}
        for name, offset in offsets.items():
            if name not in self._bands and not name.endswith(FACTORS):
                continue
            watched = memory.setdefault(name, Watched())
            if offset.times > watched.times:
                parts, watched.times = offset.times - watched.times, offset.times
                watched.note(offset.innovation)
                if name in self._bands:
                    watched.settle(offset.value, parts, self._setpoints(name, seen))
                if name in self._bands and math.isfinite(seen[name]):
                    watched.values = [*watched.values[1 - REMEMBERED :], seen[name]]
                    watched.least_scatter = least_scatter(watched.values)
            doubt = self._doubt(name, offset, watched)
            if doubt and (not watched.doubt or watched.sum_sd > ALARM_SD):
                raised[name] = doubt
            watched.doubt = doubt
            if watched.sum_sd > ALARM_SD:  # told; what goes on will be told again
                watched.above_sd = watched.below_sd = 0.0
        return raised

    def health(
        self, offsets: Mapping[str, Offset], memory: Mapping[str, Watched]
    ) -> dict[str, Health]:
        """How far each quantity's model can be believed, from 1 (as expected) to 0 (alarm)."""
        found = {}
        for name, watched in memory.items():
            value = offsets[name].value
            correction = max(
                self._share_of_reason(name, value), self._share_of_drift(name, value, watched)
            )
            trust = max(0.0, 1.0 - max(watched.sum_sd / ALARM_SD, correction))
            found[name] = Health(trust, watched.doubt, watched.least_scatter)
        return found

    def _doubt(self, name: str, offset: Offset, watched: Watched) -> str:
        if watched.sum_sd > ALARM_SD:
            side = "above" if watched.above_sd > watched.below_sd else "below"
            return f"{name} keeps coming out {side} what the model says"
        if self._share_of_reason(name, offset.value) > 1.0:
            return f"the correction of {name} is out of all reason: {offset.value:.3g}"
        if self._share_of_drift(name, offset.value, watched) > 1.0:
            gone = offset.value - watched.settled
            return (
                f"{name} has drifted by {gone:+.3g} from what the model says, or its instrument has"
            )
        return ""

    def _share_of_reason(self, name: str, value: float) -> float:
        """How much of what is reasonable a correction uses."""
        if name in self._bands:
            lo, hi = self._bands[name]
            return abs(value) / (BAND_SHARE * (hi - lo)) if hi > lo else 0.0
        return abs(math.log(value)) / math.log(MOST_FACTOR) if value > 0.0 else math.inf

    def _share_of_drift(self, name: str, value: float, watched: Watched) -> float:
        """How much of what a quality's correction may go from where it had settled it has gone."""
        if name not in self._bands or math.isnan(watched.settled):
            return 0.0
        lo, hi = self._bands[name]
        return abs(value - watched.settled) / (DRIFT_SHARE * (hi - lo)) if hi > lo else 0.0


def standing(memory: Mapping[str, Watched]) -> dict[str, str]:
    """The doubts that stand, raised now or long ago, by quantity."""
    return {name: watched.doubt for name, watched in memory.items() if watched.doubt}


def least_scatter(values: Sequence[float]) -> float:
    """Harris's index: the share of the scatter that is new in each part, 1 if nothing can be gained.

    By an autoregression of order ``ORDER``, least squares. NaN for fewer than 30 parts, or without scatter.
    """
    y = np.asarray(values, dtype=np.float64)
    if len(y) < 30 or not np.ptp(y) > 0.0:
        return math.nan
    y = y - y.mean()
    before = np.column_stack([y[ORDER - lag - 1 : len(y) - lag - 1] for lag in range(ORDER)])
    after = y[ORDER:]
    coefficients, *_ = np.linalg.lstsq(before, after, rcond=None)
    new = after - before @ coefficients
    return float(min(new.var() / after.var(), 1.0)) if after.var() > 0.0 else math.nan
