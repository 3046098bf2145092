"""A station of the twin put in step: what it shows, the work inside, who is there, when its state ends."""

from __future__ import annotations

import math

from twin.analyze.joining import Joining
from twin.line import schema as s
from twin.line.conveyor import book
from twin.line.cores import begin_cycle
from twin.line.people import task_crews
from twin.line.residual import (
    SOON_S,
    cycle_goes_on,
    draw_failures,
    repair_left_s,
    strike_first,
    work_ends,
)
from twin.line.schema import FOREVER
from twin.line.tags import is_unbegun
from twin.line.work import is_defective, setup_s


def join_station(join: Joining, e: int) -> None:
    """Copy what a station shows; what it does not show follows from the model, or is drawn."""
    line, now = join.line, join.now_s
    f, i, k = join.state.floats, join.state.ints, line.k
    name, a, b = line.elements[e].name, e * s.E_FLOATS, e * s.E_INTS
    own_elapsed_s = _own_elapsed_s(join, e)
    before, finished = i[b + s.STATE], i[b + s.OPS]
    copy_status(join, e)
    state = i[b + s.STATE]
    if s.PROCESSING in (state, before) or i[b + s.OPS] != finished:
        f[a + s.REST_SINCE_S] = now if state == s.PROCESSING else f[a + s.SINCE_S]
    part = _parts_inside(join, e)
    elapsed = join.told(f"{name}.elapsed_work_s", own_elapsed_s)
    _upkeep(join, e)
    draw_failures(e, join.ticket, now, f, i, line.c, k)
    begun = bool(part) and not is_unbegun(state, elapsed)
    own = join.held[e]
    if begun and not (own.begun and own.parts[0] == part):
        _begin(join, e)
    f[a + s.WORK_LEFT_S] = 0.0
    if begun and not _is_finished(join, e, elapsed):
        f[a + s.WORK_LEFT_S] = max(f[a + s.CYCLE_S] - elapsed, SOON_S)
        scatters = line.c[e * s.EC + s.C_CYCLE_LAW] != s.FIXED
        if scatters and state in (s.PROCESSING, s.DOWN):
            cycle_goes_on(e, elapsed, join.ticket, f, i, line.c, k)
    f[a + s.WORK_SINCE_S] = now
    _people(join, e)
    f[a + s.DUE_S], i[b + s.PENDING] = _state_ends(join, e)
    strike_first(e, now, f, i, line.c, k)
    i[b + s.RESUME] = i[b + s.STANDBY_ASKED]
    f[a + s.POWER_KW] = _power_kw(join, e)


def copy_status(join: Joining, e: int) -> None:
    """State, counters, meters, results, setpoints; the meter stands in the present state's column."""
    line, now = join.line, join.now_s
    f, i = join.state.floats, join.state.ints
    name, a, b = line.elements[e].name, e * s.E_FLOATS, e * s.E_INTS
    book(e, now, f, i)
    before = i[b + s.STATE]
    i[b + s.STATE] = state = int(join.seen[f"{name}.state"])
    since = f[a + s.SINCE_S] if state == before else now
    f[a + s.SINCE_S] = join.told(f"{name}.state_since_s", since)
    energy_kwh = math.fsum(f[a + s.ENERGY_KWH : a + s.ENERGY_KWH + s.N_STATES])
    for n, state_name in enumerate(s.STATES):
        f[a + s.TIME_S + n] = join.told(f"{name}.time_{state_name}_s", f[a + s.TIME_S + n])
        f[a + s.ENERGY_KWH + n] = 0.0
    f[a + s.ENERGY_KWH + state] = join.told(f"{name}.energy_kwh", energy_kwh)
    outputs, setpoints = line.elements[e].outputs, line.elements[e].setpoints
    for column, tag in (
        (a + s.GAS_KWH, "gas_kwh"),
        (a + s.LAST_CYCLE_S, "last_cycle_s"),
        (a + s.LAST_ENERGY_KWH, "last_energy_kwh"),
        (a + s.STANDBY_AFTER_S, "standby_after_s"),
        *((line.outputs_f(e) + n, output) for n, output in enumerate(outputs)),
        *((line.setpoints_f(e) + n, setpoint) for n, setpoint in enumerate(setpoints)),
    ):
        f[column] = join.told(f"{name}.{tag}", f[column])
    counters = {s.OPS: "op_count", s.SCRAPPED: "scrap_count", s.TOOLS: "tool_changes"}
    for column, tag in counters.items():
        i[b + column] = int(join.told(f"{name}.{tag}", i[b + column]))
    failures = i[b + s.FAILURES] + i[b + s.FAILURES + 1] + i[b + s.STRIKES]
    told = int(join.told(f"{name}.failure_count", failures))
    if told != failures:  # of which kind they were is not told
        i[b + s.FAILURES], i[b + s.FAILURES + 1], i[b + s.STRIKES] = told, 0, 0
    if line.plant.stations[e - 1].standby:
        asked = i[b + s.STANDBY_ASKED]
        i[b + s.STANDBY_ASKED] = int(join.told(f"{name}.standby", asked))


# --- what is inside -------------------------------------------------------------------------------


def _own_elapsed_s(join: Joining, e: int) -> float:
    """How long the twin has worked on its part."""
    f, a = join.state.floats, e * s.E_FLOATS
    elapsed_s = f[a + s.CYCLE_S] - f[a + s.WORK_LEFT_S]
    if join.state.ints[e * s.E_INTS + s.STATE] == s.PROCESSING:
        elapsed_s += join.now_s - f[a + s.WORK_SINCE_S]
    return elapsed_s


def _parts_inside(join: Joining, e: int) -> int:
    """Put in the part in hand, or the batch; returns the (first) part's number, 0 for none.

    A batch of which only the first part is told is the twin's own, if it begins with that one.
    """
    i, k, name = join.state.ints, join.line.k, join.line.elements[e].name
    b, first = e * s.E_INTS, k[s.ELEMENTS_K + e * s.EK + s.PLACES_I]
    own, most = join.held[e].parts, k[s.ELEMENTS_K + e * s.EK + s.BATCH]
    part = int(join.told(f"{name}.part_id", own[0] if own else 0))
    parts: tuple[int, ...] = (part,) if part > 0 else ()
    if most > 1:
        listed = join.parts(name, most, f"{name}.in_hand_count")
        if listed is not None and bool(listed) == bool(parts):
            parts = listed
        elif own[:1] == parts:
            parts = own
    slots = [join.place(one, name) for one in parts]
    i[b + s.SLOT] = slots[0] if slots else -1
    if most > 1:
        i[b + s.IN_HAND] = len(slots)
        i[first : first + len(slots)] = slots
    return parts[0] if parts else 0


def _is_finished(join: Joining, e: int, elapsed_s: float) -> bool:
    """Whether the part inside waits to be let go; a repair that came over it makes it no new work."""
    f, a, state = join.state.floats, e * s.E_FLOATS, join.state.ints[e * s.E_INTS + s.STATE]
    if state == s.DOWN:
        return elapsed_s > 0.0 and math.isclose(elapsed_s, f[a + s.LAST_CYCLE_S], rel_tol=1e-12)
    return state not in (s.PROCESSING, s.WAITING)


def _begin(join: Joining, e: int) -> None:
    """What the model says of work that the twin has not begun; whether it spoils the part is drawn."""
    line, f, i, k = join.line, join.state.floats, join.state.ints, join.line.k
    b = e * s.E_INTS
    probability = begin_cycle(line, e, join.now_s, f, i)
    f[e * s.E_FLOATS + s.MEAN_CYCLE_S] = f[e * s.E_FLOATS + s.CYCLE_S]
    i[b + s.DEFECTIVE] = 0
    if k[s.ELEMENTS_K + e * s.EK + s.BATCH] == 1:
        part = k[s.K_PART_I] + i[b + s.SLOT] * s.P_INTS
        i[b + s.DEFECTIVE] = is_defective(e, part, probability, i, k)


def _upkeep(join: Joining, e: int) -> None:
    """Wear, and since when the last setup and the last service count."""
    line, name, a, b = join.line, join.line.elements[e].name, e * s.E_FLOATS, e * s.E_INTS
    f, i, station = join.state.floats, join.state.ints, join.line.plant.stations[e - 1]
    if station.tool is not None:
        use = join.seen[f"{name}.tool_use"]
        if not math.isnan(use):
            f[a + s.WEAR] = max(use, 0.0) * line.c[e * s.EC + s.C_TOOL_LIFE_MM]
        f[a + s.TOOL_FACTOR] = 1.0
    if station.setup is not None:
        f[a + s.SET_UP_FOR] = join.told(f"{name}.set_up_for", f[a + s.SET_UP_FOR])
    if station.service is not None:
        ops = join.told(f"{name}.serviced_op_count", i[b + s.SERVICED_OPS])
        i[b + s.SERVICED_OPS] = int(ops)
        f[a + s.SERVICED_S] = join.told(f"{name}.serviced_work_s", f[a + s.SERVICED_S])


# --- who is there ---------------------------------------------------------------------------------

_TASK = {
    s.PROCESSING: s.TASK_WORK,
    s.SETUP: s.TASK_SETUP,
    s.DOWN: s.TASK_REPAIR,
    s.TOOL_CHANGE: s.TASK_CHANGE,
    s.SERVICE: s.TASK_SERVICE,
}
"""What somebody does at a station in each state; in all others nobody is there."""


def _people(join: Joining, e: int) -> None:
    """Who attends the station, or what it waits for: as told, else as the twin has it, else the first."""
    line, i, b = join.line, join.state.ints, e * s.E_INTS
    station, name, state = line.plant.stations[e - 1], line.elements[e].name, i[b + s.STATE]
    if not any(getattr(station.needs, task) for task in s.TASKS):
        return
    crews = [0, *(line.element(crew.name) for crew in line.plant.crews)]
    wants = int(join.told(f"{name}.waits_for", i[b + s.WANTS]))
    who = int(join.told(f"{name}.attended_by", crews.index(i[b + s.HELD])))
    i[b + s.WANTS] = _wanted(join, e, wants) if state in (s.WAITING, s.DOWN) else 0
    i[b + s.HELD] = 0
    listed = task_crews(e, _TASK[state], line.k) if state in _TASK else 0
    if listed and not i[b + s.WANTS]:
        able = line.k[listed + 1 : listed + 1 + line.k[listed]]
        held = crews[who] if 0 < who < len(crews) else 0
        i[b + s.HELD] = held if held in able else able[0]


def _wanted(join: Joining, e: int, wants: int) -> int:
    """The task that a station waits with; what it cannot be is as good as untold."""
    i, b = join.state.ints, e * s.E_INTS
    could: tuple[int, ...] = (s.TASK_CHANGE, s.TASK_SERVICE)
    if i[b + s.STATE] == s.DOWN:
        could = (s.TASK_REPAIR,)
    elif i[b + s.SLOT] >= 0:
        could = (s.TASK_WORK, s.TASK_SETUP)
    needed = [task + 1 for task in could if task_crews(e, task, join.line.k)]
    if wants in needed:
        return wants
    return needed[0] if needed and i[b + s.STATE] == s.WAITING else 0


# --- when its state ends --------------------------------------------------------------------------


def _state_ends(join: Joining, e: int) -> tuple[float, int]:
    """When the state that a station is in is over, and what then happens; never, if it waits."""
    line, f, i, now = join.line, join.state.floats, join.state.ints, join.now_s
    a, b, c = e * s.E_FLOATS, e * s.E_INTS, line.c[e * s.EC : (e + 1) * s.EC]
    state, since, soon = i[b + s.STATE], f[a + s.SINCE_S], now + SOON_S
    if state == s.PROCESSING and i[b + s.SLOT] >= 0:
        work_ends(e, now, f, i)
        return f[a + s.DUE_S], i[b + s.PENDING]
    if state == s.DOWN:
        return _repair_ends(join, e)
    lasting = {
        s.WARM_UP: (c[s.C_WARM_UP_S], s.WARM),
        s.TOOL_CHANGE: (c[s.C_TOOL_CHANGE_S], s.CHANGED),
        s.SERVICE: (c[s.C_SERVICE_S], s.SERVICED),
    }
    if state in (s.IDLE, s.BLOCKED) and f[a + s.STANDBY_AFTER_S] < s.NEVER_S:
        lasting[state] = f[a + s.STANDBY_AFTER_S], s.TIMED_OUT
    if state == s.SETUP and i[b + s.SLOT] >= 0:
        usual_s = line.c[line.k[s.ELEMENTS_K + e * s.EK + s.SETUP_C]]
        lasting[state] = setup_s(e, f, i, line.c, line.k) or usual_s, s.SET_UP
    if state in lasting:
        lasts_s, pending = lasting[state]
        return max(since + lasts_s, soon), pending
    if state in (s.SETUP, s.PROCESSING):  # it shows no part to work on
        return soon, s.SERVICED
    if state == s.WAITING and not i[b + s.WANTS]:  # for nobody that the plant file knows of
        return soon, s.SET_UP if i[b + s.SLOT] >= 0 else s.SERVICED
    return FOREVER, s.NOTHING


def _repair_ends(join: Joining, e: int) -> tuple[float, int]:
    """Drawn from the law of repairs, given how long this one has taken; not begun if nobody is there."""
    line, f, i, now = join.line, join.state.floats, join.state.ints, join.now_s
    a, since = e * s.E_FLOATS, f[e * s.E_FLOATS + s.SINCE_S]
    if i[e * s.E_INTS + s.WANTS]:
        f[a + s.TASK_S] = repair_left_s(e, 0.0, join.ticket, i, line.c, line.k)
        return FOREVER, s.NOTHING
    if line.plant.stations[e - 1].needs.repair:
        since = join.told(f"{line.elements[e].name}.repair_since_s", since)
    left_s = repair_left_s(e, now - since, join.ticket, i, line.c, line.k)
    f[a + s.TASK_S] = now + left_s - since
    return now + left_s, s.REPAIRED


def _power_kw(join: Joining, e: int) -> float:
    f, c = join.state.floats, join.line.c
    a, cc, state = e * s.E_FLOATS, e * s.EC, join.state.ints[e * s.E_INTS + s.STATE]
    if state == s.PROCESSING:
        if f[a + s.CYCLE_KWH] > 0.0:
            return f[a + s.CYCLE_KWH] / f[a + s.CYCLE_S] * 3600.0
        return c[cc + s.C_IDLE_KW]
    column = {s.OFF: s.C_OFF_KW, s.STANDBY: s.C_STANDBY_KW, s.WARM_UP: s.C_WARM_UP_KW}
    return c[cc + column.get(state, s.C_IDLE_KW)]
