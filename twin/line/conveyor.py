"""A continuous station with parts on a conveyor: an oven, a dryer, a furnace.

It moves on an absolute grid ``k * step_s``. At a grid point the part whose place has reached the
exit leaves, the next one enters, and power and gas for the coming step are fixed; then the process
model carries its states over the step with the setpoints and disturbances of this moment. Between
grid points the state columns therefore hold what is true at the next one: a reading at a grid
point, before its own event, is exact. Setpoints act from the next grid point on.

The conveyor stops (the zones go on) while the station is down or there is no room behind it. Empty
places travel too. Asked to sleep (by its setback or as any other station) it takes no more parts,
runs empty, and is then set back; its own time-out counts from when it ran empty. Woken, it takes the
setback back evenly over its warm-up time, for a jump would overshoot; parts enter again when that
is over and the process says that it is ready. ``core_of``, ``record`` and ``schedule`` are given by
the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.kernels.draws import DEFECT
from twin.kernels.draws import uniform as draw_uniform
from twin.line.flow import has_room, level, part_leaves, put, take, touch
from twin.line.hooks import Constants, Floats, Ints, Journal, Structure, core_of, record, schedule
from twin.line.luck import repair_s, to_failure_s
from twin.line.schema import (
    BLOCKED,
    BOOKED_S,
    C_STEP_S,
    C_WARM_UP_S,
    CAN_STANDBY,
    CYCLE_S,
    DOWN,
    DUE_S,
    E_FLOATS,
    E_INTS,
    EC,
    EK,
    ENERGY_KWH,
    FAILURES,
    GAS_KW,
    GAS_KWH,
    GIVES_TO,
    GRID,
    IDLE,
    K_ELEMENT_C,
    K_ELEMENT_K,
    K_LINE_I,
    K_PART_F,
    K_PART_I,
    NEVER_S,
    OPS,
    OUTPUT,
    P_FLOATS,
    P_INTS,
    PART_DEFECTIVE,
    PART_ID,
    PENDING,
    PHASE,
    PLACES,
    PLACES_I,
    POWER_KW,
    PROCESSING,
    PRODUCT,
    RESUME,
    SCRAPPED,
    SEED,
    SINCE_S,
    SINK,
    STANDBY,
    STANDBY_AFTER_S,
    STANDBY_ASKED,
    STATE,
    TAKES_FROM,
    TIME_S,
    TO_FAILURE_S,
    WARM_UP,
    WORK_LEFT_S,
    WORLD,
    X_F,
)

if TYPE_CHECKING:
    from twin.line.model import Line

NOTHING_INSIDE = -1


def grid(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """One grid point of a continuous station."""
    a = e * E_FLOATS
    ek = k[K_ELEMENT_K] + e * EK
    core = core_of(e)
    step_s = c[k[K_ELEMENT_C] + e * EC + C_STEP_S]
    book(e, now, f, i)
    x_f = k[ek + X_F]
    n_x = core.x.shape[0]
    core.load(e, now, f)
    core.x[:] = f[x_f : x_f + n_x]
    closed = sleeps(e, now, core, core.load_places(e, f, i, k), f, i, c, k)
    blocked = False
    if f[a + PHASE] >= 1.0:
        leaving = i[k[ek + PLACES_I] + k[ek + PLACES] - 1]
        goes_to = k[ek + GIVES_TO]
        blocked = leaving >= 0 and goes_to != SINK and not has_room(goes_to, i, k)
        if not blocked:
            shift(e, closed, core, f, i, k)
    inside = core.load_places(e, f, i, k)
    share = core.set_back()
    down = stopped(e, not (blocked or share > 0.0), now, step_s, f, i, c, k)
    out = core.outputs(core.x, core.u, core.d, core.p)
    if not (down or blocked):
        f[a + PHASE] += out[core.y_rate] * step_s / 3600.0
    state = DOWN if down else BLOCKED if blocked else PROCESSING if inside else IDLE
    if state == IDLE and share > 0.0:
        state = STANDBY if share == 1.0 else WARM_UP
    f[a + GAS_KW] = out[core.y_gas]
    f[a + POWER_KW] = out[core.y_power]
    if state != i[e * E_INTS + STATE]:
        record(journal, now, e, i[e * E_INTS + STATE], state, 0)
        i[e * E_INTS + STATE] = state
        f[a + SINCE_S] = now
    core.step(core.x, core.u, core.d, core.p, step_s, core.x_next)
    f[x_f : x_f + n_x] = core.x_next.tolist()
    point = int(now / step_s + 0.5)
    schedule(e, GRID, (point + 1) * step_s, f, i, journal)


def sleeps(
    e: int, now: float, core: Any, inside: bool, f: Floats, i: Ints, c: Constants, k: Structure
) -> bool:
    """Whether the entry is closed for a rest; puts the share of setback that follows in force.

    Asked to sleep, it wakes when no longer asked. Fallen asleep by itself, it wakes for work.
    """
    if core.u_setback < 0:
        return False
    a = e * E_FLOATS
    b = e * E_INTS
    ek = k[K_ELEMENT_K] + e * EK
    can = k[ek + CAN_STANDBY] == 1
    asked = core.set_back() > 0.5 or (can and i[b + STANDBY_ASKED] == 1)
    itself = False
    if can and not (asked or inside) and f[a + STANDBY_AFTER_S] < NEVER_S:
        slept = i[b + STATE] == STANDBY and i[b + RESUME] == 0
        due = i[b + STATE] == IDLE and now >= f[a + SINCE_S] + f[a + STANDBY_AFTER_S]
        itself = (slept or due) and level(k[ek + TAKES_FROM], i, k) == 0
    i[b + RESUME] = 1 if asked else 0
    share = 0.0
    if itself or (asked and not inside):
        share = 1.0
    elif i[b + STATE] in (STANDBY, WARM_UP):
        woken_s = now - f[a + SINCE_S] if i[b + STATE] == WARM_UP else 0.0
        cc = k[K_ELEMENT_C] + e * EC
        steps = max(c[cc + C_WARM_UP_S] / c[cc + C_STEP_S], 1.0)
        share = max(1.0 - (woken_s / c[cc + C_STEP_S] + 1.0) / steps, 0.0)
    core.u[core.u_setback] = share
    return asked or itself or share > 0.0


def book(e: int, now: float, f: Floats, i: Ints) -> None:
    """Time, electricity and gas since the last grid point."""
    a = e * E_FLOATS
    elapsed = now - f[a + BOOKED_S]
    state = i[e * E_INTS + STATE]
    f[a + TIME_S + state] += elapsed
    f[a + ENERGY_KWH + state] += f[a + POWER_KW] * elapsed / 3600.0
    f[a + GAS_KWH] += f[a + GAS_KW] * elapsed / 3600.0
    f[a + BOOKED_S] = now


def stopped(
    e: int, moving: bool, now: float, step_s: float, f: Floats, i: Ints, c: Constants, k: Structure
) -> bool:
    """Whether the conveyor stands still for a repair during this step; it fails in motion only."""
    a = e * E_FLOATS
    b = e * E_INTS
    if now < f[a + WORK_LEFT_S]:  # the time at which the repair ends
        return True
    if not moving:
        return False
    for mode in (0, 1):
        if f[a + TO_FAILURE_S + mode] <= 0.0:
            f[a + WORK_LEFT_S] = now + repair_s(e, mode, i[b + FAILURES + mode], i, c, k)
            i[b + FAILURES + mode] += 1
            f[a + TO_FAILURE_S + mode] = to_failure_s(e, mode, i[b + FAILURES + mode], f, i, c, k)
            return True
    f[a + TO_FAILURE_S] -= step_s
    f[a + TO_FAILURE_S + 1] -= step_s
    return False


def shift(e: int, closed: bool, core: Any, f: Floats, i: Ints, k: Structure) -> None:
    """The part at the exit leaves, all move on by one place, the next one enters if it may."""
    a = e * E_FLOATS
    ek = k[K_ELEMENT_K] + e * EK
    places, first = k[ek + PLACES], k[ek + PLACES_I]
    leaving = i[first + places - 1]
    if leaving >= 0:
        out = core.outputs(core.x, core.u, core.d, core.p)
        for n in range(core.n_y):
            f[a + OUTPUT + n] = out[core.y_exit[n]]
        deliver(e, leaving, out[core.y_defect], f, i, k)
    core.shift(core.x, core.d[core.d_ambient])
    for place in range(places - 1, 0, -1):
        i[first + place] = i[first + place - 1]
    enters = not closed and level(k[ek + TAKES_FROM], i, k) > 0
    enters = enters and core.ready(core.x, core.u, core.p)
    i[first] = take(k[ek + TAKES_FROM], i, k) if enters else NOTHING_INSIDE
    f[a + PHASE] -= 1.0


def deliver(e: int, slot: int, defect_probability: float, f: Floats, i: Ints, k: Structure) -> None:
    """A part has passed through: judged here, where its quality is decided."""
    b = e * E_INTS
    line = k[K_LINE_I]
    part = k[K_PART_I] + slot * P_INTS
    i[b + OPS] += 1
    luck = draw_uniform(i[line + SEED], i[line + WORLD], e, DEFECT, i[part + PART_ID])
    if luck < defect_probability:
        i[part + PART_DEFECTIVE] = 1
    goes_to = k[k[K_ELEMENT_K] + e * EK + GIVES_TO]
    if goes_to != SINK:
        put(goes_to, slot, i, k)
        return
    scrapped = i[part + PART_DEFECTIVE]
    if scrapped:
        i[b + SCRAPPED] += 1
    part_leaves(slot, scrapped, f, i, k)
    touch(0, i, k)


def begin(e: int, line: Line, f: list[float], i: list[int], k: list[int]) -> None:
    """An empty conveyor, the zones at their reference temperatures."""
    ek = k[K_ELEMENT_K] + e * EK
    reference = line.elements[e].process.point().x.tolist()
    f[k[ek + X_F] : k[ek + X_F] + len(reference)] = reference
    for place in range(k[ek + PLACES]):
        i[k[ek + PLACES_I] + place] = NOTHING_INSIDE
    f[e * E_FLOATS + DUE_S], i[e * E_INTS + PENDING] = 0.0, GRID
    f[e * E_FLOATS + CYCLE_S] = 0.0


class PlacedCore:
    """What a continuous station with places needs beyond a process model's vectors."""

    def __init__(self, core: Any) -> None:
        model = core.model
        names = [q.name for q in model.outputs]
        self.outputs = model.numbers()
        self.step = model.stepper()
        self.x_next = core.x.copy()
        self.shift = model.module.shift_carriers
        self.ready = model.module.entry_open
        self.y_power, self.y_gas = names.index("power_kw"), names.index("gas_kw")
        self.y_rate, self.y_defect = (
            names.index("carriers_per_h"),
            names.index("defect_probability"),
        )
        self.y_exit = [names.index(name) for name in model.module.EXIT_OUTPUTS]
        disturbances = [q.name for q in model.dvs]
        self.d_phase = disturbances.index("conveyor_phase")
        self.d_ambient = disturbances.index("ambient_c")
        self.d_places = disturbances.index("carrier_1_mass_kg")
        mvs = [q.name for q in model.mvs]
        self.u_setback = mvs.index("setback") if "setback" in mvs else -1


def prepare(core: Any) -> None:
    """Give a core of the engine the functions of a continuous station."""
    placed = PlacedCore(core)
    for name, value in vars(placed).items():
        setattr(core, name, value)

    def load_places(e: int, f: list[float], i: list[int], k: list[int]) -> bool:
        ek = k[K_ELEMENT_K] + e * EK
        inside = False
        core.d[core.d_phase] = min(f[e * E_FLOATS + PHASE], 1.0)
        for place in range(k[ek + PLACES]):
            slot = i[k[ek + PLACES_I] + place]
            inside = inside or slot >= 0
            product = f[k[K_PART_F] + slot * P_FLOATS + PRODUCT] if slot >= 0 else 0.0
            core.d[core.d_places + place] = product
        return inside

    core.load_places = load_places
    core.set_back = lambda: float(core.u[core.u_setback]) if core.u_setback >= 0 else 0.0
