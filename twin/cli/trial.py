"""One shift of a line at setpoints that stay: the task of a sweep, for any process to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from twin.cli.offline import Offline
from twin.cli.shift import Shift


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried: a shift with the luck of ``seed`` and setpoints from its first instant on.

    ``shift`` carries its plant file along once that is read, so that a worker on another machine
    needs none. The recipe holds for all setpoints that are not given.
    """

    shift: Shift
    seed: int
    setpoints: Mapping[str, float] = field(default_factory=dict)
    saturated: bool = False
    engine: str = "auto"


def figures_of(trial: Trial) -> dict[str, float]:
    """All figures of the shift that are defined; the same for the same trial, wherever it is taken.

    Raises ``Problem`` for a line that locks itself.
    """
    shift = trial.shift
    line = Offline(shift, saturated=trial.saturated, truth=False, choice=trial.engine)
    course = line.course(trial.seed, shift.hours, setpoints=trial.setpoints)
    return {kpi.name: kpi.value for kpi in course.kpis().values}
