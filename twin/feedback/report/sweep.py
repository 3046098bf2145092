"""The picture of a sweep: one figure over one setpoint, or as a map over two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from twin.feedback.report.canvas import INK, OWN, WIDTH_IN, drawing, figure


def draw_sweep(
    grid: Mapping[str, Sequence[float]],
    title: str,
    means: Sequence[float | None],
    half_widths: Sequence[float | None],
    path: Path,
) -> None:
    """Means, and over a single setpoint their intervals too; the last setpoint varies fastest.

    None is a figure that is undefined. The ending of ``path`` says the format. Raises ``ValueError``
    for more than two setpoints.
    """
    if not 1 <= len(grid) <= 2:
        raise ValueError(f"a picture takes one or two setpoints, not {len(grid)}")
    names, values = list(grid), [list(of) for of in grid.values()]
    mean = np.array([math.nan if x is None else x for x in means])
    with drawing():
        drawn = figure(0.45 * WIDTH_IN)
        axes = drawn.subplots()
        axes.set_xlabel(names[0], color=INK)
        if len(names) == 1:
            half = np.array([0.0 if x is None else x for x in half_widths])
            axes.errorbar(values[0], mean, yerr=half, color=OWN, marker="o", capsize=3.0)
            axes.set_ylabel(title, color=INK)
        else:
            table = mean.reshape(len(values[0]), len(values[1])).T
            image = axes.imshow(table, origin="lower", aspect="auto", cmap="viridis")
            axes.grid(visible=False)
            axes.set_xticks(range(len(values[0])), [f"{x:g}" for x in values[0]])
            axes.set_yticks(range(len(values[1])), [f"{x:g}" for x in values[1]])
            axes.set_ylabel(names[1], color=INK)
            drawn.colorbar(image, ax=axes, label=title)
        drawn.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
