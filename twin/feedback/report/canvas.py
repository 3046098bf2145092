"""Pictures as inline SVG: the same drawing gives the same bytes."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, RULE, PAPER = "#2b3138", "#6a737c", "#d5d9dd", "#ffffff"
OWN, BAND, ALARM, WARNING = "#2f5f8a", "#eceff1", "#c62828", "#e0a030"
"""Grey carries the normal; only ``ALARM`` and ``WARNING`` shine. ``OWN`` is the run's own line."""
WIDTH_IN = 10.4
_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.titlecolor": INK,
    "axes.titlepad": 4,
    "figure.facecolor": PAPER,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.1,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.color": QUIET,
    "ytick.labelcolor": INK,
}
_LONG = re.compile(r"(?<=\d\.\d{2})\d+")
_OWN_ID = re.compile(r'\bid="([^"]+)"')
_OTHER_ID = re.compile(r'(url\(#|href="#)')


@contextmanager
def drawing() -> Iterator[None]:
    """The style of all pictures, whatever the user's own settings are."""
    # Without a home it takes a temporary folder for its fonts by itself: no business of who runs a line.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def figure(height_in: float) -> Figure:
    """An empty picture of full width."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH_IN, height_in), layout="constrained")


def svg(drawn: Figure, name: str, title: str) -> str:
    """The picture as an SVG element, its identifiers marked with ``name`` so that none recurs."""
    import matplotlib as mpl

    buffer = StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        drawn.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = _OWN_ID.sub(rf'id="{name}-\1"', text)
    text = _OTHER_ID.sub(rf"\g<1>{name}-", text)
    text = _LONG.sub("", text)
    label = f'<svg role="img" aria-label="{escape(title, quote=True)}"'
    return text.replace("<svg", label, 1).strip()


def time_axis(
    axes: Axes, from_s: float, until_s: float, starts_at_h: float, *, most: int = 13
) -> None:
    """Ticks at round times of day, about ``most`` of them."""
    from twin.feedback.report.labels import clock

    hours = (until_s - from_s) / 3600.0
    step_h = next((s for s in (0.25, 0.5, 1.0, 2.0, 3.0, 6.0, 12.0) if hours / s < most), 24.0)
    offset_s, step_s = starts_at_h * 3600.0, step_h * 3600.0
    first = -(-(from_s + offset_s) // step_s) * step_s - offset_s
    ticks = []
    while first <= until_s + 1e-6:
        ticks.append(first)
        first += step_s
    axes.set_xticks(ticks, [clock(tick, starts_at_h) for tick in ticks])
    axes.set_xlim(from_s, until_s)
    axes.tick_params(axis="x", length=0, pad=5)
