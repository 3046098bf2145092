"""The picture of a what-if: good parts over time, as the line stands and with the change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twin.feedback.report.canvas import INK, OWN, QUIET, WIDTH_IN, drawing, figure

if TYPE_CHECKING:
    from numpy.typing import NDArray


def draw_alternatives(
    times_s: NDArray[np.float64],
    base: NDArray[np.float64],
    changed: NDArray[np.float64],
    path: Path,
) -> None:
    """Mean and the middle nine tenths of the worlds; ``base`` and ``changed`` are worlds by times.

    The ending of ``path`` says the format. Raises ``ValueError`` for one that cannot be drawn.
    """
    with drawing():
        drawn = figure(0.4 * WIDTH_IN)
        axes = drawn.subplots()
        minutes = times_s / 60.0
        for parts, colour, label in ((base, QUIET, "as it is"), (changed, OWN, "changed")):
            low, high = np.quantile(parts, (0.05, 0.95), axis=0)
            axes.fill_between(minutes, low, high, color=colour, alpha=0.15, linewidth=0.0)
            axes.plot(minutes, parts.mean(axis=0), color=colour, label=label)
        axes.set_xlabel("minutes from now", color=INK)
        axes.set_ylabel("good parts", color=INK)
        axes.set_xlim(0.0, float(minutes[-1]))
        axes.set_ylim(bottom=0.0)
        axes.legend(loc="upper left")
        drawn.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
