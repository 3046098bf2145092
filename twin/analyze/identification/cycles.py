"""How cycle times scatter about the process model's: by which law, and how widely."""

from __future__ import annotations

import numpy as np

from twin.analyze.identification.finding import Finding, finding
from twin.analyze.identification.laws import FIXED_CV, time_law
from twin.analyze.identification.parts import Parts
from twin.analyze.identification.record import Column
from twin.config.plant import StationSpec
from twin.processes.model import ProcessModel

LEAST_PARTS = 12
CV_WIDTH = 0.5


def cycle_findings(
    station: StationSpec, model: ProcessModel, p: Column, parts: Parts, x: Column
) -> tuple[Finding, ...]:
    """The scatter of cycle times, where the plant file says that they scatter or the parts do."""
    function = model.numbers()
    measured = parts.outputs["cycle_time_s"]
    known = np.isfinite(measured) & np.isfinite(x).all(axis=1)
    if known.sum() < LEAST_PARTS:
        return ()
    rows = zip(x[known], parts.u[known], parts.d[known], strict=True)
    ratio = measured[known] / np.array([function(*row, p)[0] for row in rows])
    spec = station.cycle_scatter
    declared = ("lognormal", 0.0) if spec is None else (spec.law, spec.cv)
    # Slow drifts are the process model's; from part to part only chance is left.
    step = np.diff(np.log(ratio))
    chance = 1.4826 * float(np.median(np.abs(step - np.median(step)))) / np.sqrt(2.0)
    if spec is None and chance < 10.0 * FIXED_CV:
        return ()
    law = time_law(ratio, np.array([]), declared[0], declared[1] or 1.0)
    note = "" if spec is not None and law.law == spec.law else f"the times look {law.law}"
    path = (station.name, "cycle_scatter", "cv")
    return (finding(path, "1", declared[1], law.cv, width=CV_WIDTH, note=note),)
