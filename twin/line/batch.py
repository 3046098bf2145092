"""Many lines of one plant side by side: the records of arrays that turns and meters work on.

One row of each array is a line. What all lines have in common stands in `Common`, what is to be moved in `Moves`,
what is measured in `Instruments`, what a policy is shown in `View`; what changes, in `Batch` and `Answer`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

Array: TypeAlias = Any

NEVER_SEEN_S = -1e9

# What of an observation goes on as it is, by kind.
SEEN, AGE, CARRIERS, MOST_PRODUCT, DISTURBANCE, FORECAST, ACTIVE, PREVIOUS = range(8)

# --- the books of one line, a row of floats ------------------------------------------------------
BOOKS = 17
(
    READ_S,
    ELECTRICITY_EUR,
    ENERGY_KWH,
    SITE_KWH,
    GRID_KWH,
    QUARTER_KWH,
    QUARTER_ENDS_S,
    IS_OPEN,
    PEAK_KW,
    HEAT_OWED_KWH,
    GAS_OWED_KWH,
    TAKEN_KG,
    BEGUN,
    FIRST_EUR,
    OBJECTIVE_EUR,
    BAD_READS,
    IS_LOST,
) = range(BOOKS)
"""The last reading: its time, cost of electricity so far, meters; the quarter of an hour under way: grid meter
at its begin, its end, whether it was whole; the highest so far; what heat and gas were owed at the start, material taken and parts begun by then; the
objective at the first decision and at the last; readings in a row without a critical input, and whether
this is one."""

# --- what a shift has come to so far -------------------------------------------------------------
FIGURES = (
    "objective_eur",
    "good_parts",
    "scrap_parts",
    "ordered_parts",
    "backlog_end",
    "wip_end",
    "energy_kwh",
    "gas_kwh",
    "material_kg",
    "tool_cost_eur",
    "peak_kw",
)


class Common(NamedTuple):
    """What all lines of a batch have in common: structure, prices and stores of the nominal plant.

    ``prices``: gas EUR/MWh, material and scrap EUR/kg, backlog and WIP EUR/part, tool budget EUR/part, excess
    factor, peak EUR/kW. ``edges``: price of an edge by station, its life in mm (0: no edge). ``warm_up``: time
    and power by station. ``stores``: column of a zone's temperature, recipe, kJ/K, efficiency. ``columns``: of the
    price, of the site's load and of the product among the disturbances, -1 without.
    """

    k: Array
    stations: int
    elements: int
    buffers: int
    shift_s: float
    period_us: int
    bad_reads_allowed: int
    starts_at_s: float
    prices: Array
    edges: Array
    warm_up: Array
    stores: Array
    columns: Array


class Moves(NamedTuple):
    """The MVs of an action: where they stand, what the guard allows, between which ends a policy asks."""

    kinds: Array
    elements: Array
    columns: Array
    limits: Array
    rate_per_s: Array
    discrete: Array
    lo: Array
    hi: Array


class Instruments(NamedTuple):
    """What is measured with noise, or may be lost.

    ``column`` in ``f`` over ``over`` is the true value; ``counter`` in ``i`` tells a new sample, -1: one a second.
    ``stream`` keys the luck, negative where there is no instrument and the value is exact. ``expected``
    stands in until something was seen.
    """

    column: Array
    over: Array
    counter: Array
    stream: Array
    noise_sd: Array
    dropout: Array
    critical: Array
    expected: Array


class View(NamedTuple):
    """The rest of what is shown: kinds and where each is found; limits of all fields of an observation.

    ``first`` to ``last``: the places of a conveyor that are meant, the last one not among them.
    """

    kinds: Array
    places: Array
    first: Array
    last: Array
    lo: Array
    hi: Array


class Batch(NamedTuple):
    """Lines side by side, one a row, with all that is remembered of each.

    ``f i c w``: state, constants, table; ``now_us``; ``faults``: drift an hour and dropout of the scenario;
    ``seen`` and ``seen_s``: last good value of each instrument and when; ``forecast``: by decision, two prices;
    ``books``; ``previous``: last action, in engineering units; ``ends_us`` of the shift. ``parts`` and ``product``:
    by slot, the part that was seen there and the product that was being released when it was first seen.
    """

    f: Array
    i: Array
    c: Array
    w: Array
    now_us: Array
    faults: Array
    seen: Array
    seen_s: Array
    forecast: Array
    books: Array
    previous: Array
    ends_us: Array
    parts: Array
    product: Array


class Answer(NamedTuple):
    """What a step gives: observations, rewards, trips, ends, and what the guard made of the actions."""

    observation: Array
    reward: Array
    tripped: Array
    ended: Array
    applied: Array
    correction: Array
    filtered: Array
    figures: Array


class Terms(NamedTuple):
    """How a step is judged: EUR that weigh one, EUR a unit of correction, decision period, when the first one is."""

    eur_per_reward: float
    correction_eur: float
    decision_us: int
    first_us: int
