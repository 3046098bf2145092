"""The luck of one shift of the true line as it will come, in the form in which a bound can use it.

Every draw is a function of the seed and of what is drawn for the how-manieth time, so who knows the seed
knows after which working time a station fails, which parts are bad whatever is done, and how long each
edge lasts. Steps are made lines that never lie above them (costs) or below them (lives), so that a linear
programme may use them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from twin.kernels import draws
from twin.line import luck
from twin.line import schema as s
from twin.line.initial import initial_state
from twin.line.model import Line

Lines = tuple[tuple[float, float], ...]
"""Slopes and intercepts."""


def lower_lines(points: Sequence[tuple[float, float]]) -> Lines:
    """The lower convex hull of points with growing abscissae, as the lines it is the highest of."""
    hull: list[tuple[float, float]] = []
    for x, y in points:
        while len(hull) > 1:
            (x1, y1), (x2, y2) = hull[-2:]
            if (y2 - y1) * (x - x1) < (y - y1) * (x2 - x1):
                break
            hull.pop()
        hull.append((x, y))
    slopes = [(x1, y1, (y2 - y1) / (x2 - x1)) for (x1, y1), (x2, y2) in pairwise(hull)]
    return tuple((slope, y - slope * x) for x, y, slope in slopes)


def down_lines(
    line: Line, seed: int, e: int, least_rate: float, until_s: float
) -> tuple[Lines, float]:
    """Seconds down that so much working time has brought at least; the longest working time there is.

    A repair counts from the moment that work goes on: the one under way when the shift ends may be cut.
    Work and repairs before it have to find room before ``until_s``. ``least_rate`` is the smallest factor
    on the failure rate of the shift, 1 at most: more failures only add to this. Failures of calendar time
    are left out.
    """
    state = initial_state(line, seed, draws.PLANT)
    f, i, c, k = state.floats, state.ints, list(line.c), list(line.k)
    failures = []
    for mode in (0, 1):
        worked_s, count = 0.0, 0
        while (left_s := luck.to_failure_s(e, mode, count, f, i, c, k)) < s.FOREVER:
            worked_s += left_s / least_rate
            if worked_s > until_s:
                break
            failures.append((worked_s, luck.repair_s(e, mode, count, i, c, k)))
            count += 1
    down_s, points = 0.0, [(0.0, 0.0)]
    for worked_s, repair_s in sorted(failures):
        if worked_s + down_s >= until_s:
            break
        points.append((worked_s, down_s))
        down_s += repair_s
        if worked_s + down_s >= until_s:
            return lower_lines(points), worked_s
    points.append((until_s - down_s, down_s))
    return lower_lines(points), until_s - down_s


def edge_lines(line: Line, seed: int, e: int, wear_most: float) -> Lines:
    """Wear, as a share of the mean edge's life, that so many edges can take at most.

    The upper hull, up to as many edges as ``wear_most`` uses up: a shift never gets more wear out of the
    edges that it is charged for.
    """
    state = initial_state(line, seed, draws.PLANT)
    c, k = list(line.c), list(line.k)
    edge, wear, points = 0, 0.0, [(0.0, 0.0)]
    while wear <= wear_most:
        state.ints[e * s.E_INTS + s.TOOLS] = edge
        wear += 1.0 / luck.tool_factor(e, state.ints, c, k)
        edge += 1
        points.append((float(edge), -wear))
    return tuple((-slope, -intercept) for slope, intercept in lower_lines(points))


def doomed_lines(seed: int, stages: Sequence[tuple[int, float]], good_most: int) -> list[Lines]:
    """For each station in a row: doomed parts that it has worked on when so many good ones are made.

    ``stages`` are its element and the least probability of a defect that any setpoint gives. A part whose
    draw lies below that is bad for certain. Where parts keep their order, the good ones are the first that
    are not doomed, and the doomed ones before them have gone as far as the station that dooms them.
    """
    worked = [0] * len(stages)
    points: list[list[tuple[float, float]]] = [[(0.0, 0.0)] for _ in stages]
    good = part = 0
    while good < good_most:
        part += 1
        doom = [
            n
            for n, (e, least) in enumerate(stages)
            if draws.uniform(seed, draws.PLANT, e, draws.DEFECT, part) < least
        ]
        if doom:
            for n in range(doom[0] + 1):
                worked[n] += 1
            continue
        good += 1
        for n, count in enumerate(worked):
            points[n].append((float(good), float(count)))
    return [lower_lines(of) for of in points]
