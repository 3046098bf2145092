"""The columns of a line's state, declared once.

A state is two flat sequences: ``f`` (float64) and ``i`` (int64). They hold one *line* record, one
record for each *element* (source, stations, environment), each *buffer* and each *part* in the
line. The constants of a line lie in two more: ``c`` (float64) and ``k`` (int64). Element ``e``
begins at ``e * E_FLOATS`` in ``f`` and at ``e * E_INTS`` in ``i``; where the other records begin
stands in ``k``. The same layout serves CPython lists, numpy arrays and JSON.

Units are in the names: seconds of plant time, kW, kWh, kg. A due time of ``inf`` is "nothing due".
"""

from __future__ import annotations

NEVER_S = 1e6
"""A time-out this long is none."""
FOREVER = float("inf")

# --- what an element can be --------------------------------------------------------------------
SOURCE, STATION, CONVEYOR, ENVIRONMENT, CREW, BELT, CUSTOM = range(7)

# --- what a station can be doing (the codes travel over OPC UA) --------------------------------
STATES = (
    "off",
    "standby",
    "warm_up",
    "idle",
    "processing",
    "blocked",
    "down",
    "tool_change",
    "setup",
    "service",
    "waiting",
)
OFF, STANDBY, WARM_UP, IDLE, PROCESSING, BLOCKED, DOWN, TOOL_CHANGE = range(8)
SETUP, SERVICE, WAITING = 8, 9, 10
N_STATES = len(STATES)

# --- what can be due at an element -------------------------------------------------------------
NOTHING, FINISH, FAIL, REPAIRED, WARM, CHANGED, TIMED_OUT, RELEASE, GRID = range(9)
STRUCK, SET_UP, SERVICED, DUTY, ARRIVE = range(9, 14)

# --- what has brought a station down, if none of its two failures in operation has ----------------
STRUCK_AWAKE, STRUCK_ASLEEP = 2, 3

# --- what a station may need somebody for ------------------------------------------------------
TASKS = ("work", "setup", "repair", "tool_change", "service")
TASK_WORK, TASK_SETUP, TASK_REPAIR, TASK_CHANGE, TASK_SERVICE = range(5)

# --- element columns, floats -------------------------------------------------------------------
E_FLOAT_COLUMNS = (
    "due_s",
    "since_s",
    "power_kw",
    "gas_kw",
    "gas_kwh",
    "booked_s",
    "work_left_s",
    "work_since_s",
    "cycle_s",
    "cycle_kwh",
    "cycle_wear",
    "material_kg",
    "to_failure_0_s",
    "to_failure_1_s",
    "wear",
    "tool_factor",
    "standby_after_s",
    "last_cycle_s",
    "last_energy_kwh",
    "takt_s",
    "last_release_s",
    "phase",
    "rest_since_s",
    "set_up_for",
    "task_s",
    "strikes_s",
    "serviced_s",
    "mean_cycle_s",
    "mean_wear_mm",
    *(f"time_{state}_s" for state in STATES),
    *(f"energy_{state}_kwh" for state in STATES),
)
E_FLOATS = len(E_FLOAT_COLUMNS)
(
    DUE_S,
    SINCE_S,
    POWER_KW,
    GAS_KW,
    GAS_KWH,
    BOOKED_S,
    WORK_LEFT_S,
    WORK_SINCE_S,
    CYCLE_S,
    CYCLE_KWH,
    CYCLE_WEAR,
    MATERIAL_KG,
    TO_FAILURE_S,
    _TO_FAILURE_1_S,
    WEAR,
    TOOL_FACTOR,
    STANDBY_AFTER_S,
    LAST_CYCLE_S,
    LAST_ENERGY_KWH,
    TAKT_S,
    LAST_RELEASE_S,
    PHASE,
    REST_SINCE_S,
    SET_UP_FOR,
    TASK_S,
    STRIKES_S,
    SERVICED_S,
    MEAN_CYCLE_S,
    MEAN_WEAR_MM,
) = range(29)
TIME_S = 29
ENERGY_KWH = TIME_S + N_STATES

# --- element columns, integers -----------------------------------------------------------------
E_INT_COLUMNS = (
    "state",
    "pending",
    "slot",
    "ops",
    "scrapped",
    "failures_0",
    "failures_1",
    "tools",
    "standby",
    "resume",
    "bad_starts",
    "failed_mode",
    "touched",
    "defective",
    "held",
    "wants",
    "free",
    "in_hand",
    "serviced_ops",
    "strikes",
)
E_INTS = len(E_INT_COLUMNS)
(
    STATE,
    PENDING,
    SLOT,
    OPS,
    SCRAPPED,
    FAILURES,
    _FAILURES_1,
    TOOLS,
    STANDBY_ASKED,
    RESUME,
    BAD_STARTS,
    FAILED_MODE,
    TOUCHED,
    DEFECTIVE,
    HELD,
    WANTS,
    FREE,
    IN_HAND,
    SERVICED_OPS,
    STRIKES,
) = range(E_INTS)

# --- buffers: integers, followed by the ring of part slots -------------------------------------
B_INTS = 3
LEVEL, HEAD, ON_BELT = range(B_INTS)

# --- parts in the line -------------------------------------------------------------------------
P_FLOAT_COLUMNS = ("product", "energy_kwh", "material_kg", "arrives_s")
P_FLOATS = len(P_FLOAT_COLUMNS)
PRODUCT, PART_ENERGY_KWH, PART_MATERIAL_KG, ARRIVES_S = range(P_FLOATS)
P_INT_COLUMNS = ("id", "marks")
P_INTS = len(P_INT_COLUMNS)
PART_ID, PART_MARKS = range(P_INTS)
BAD, COMPONENT, PASS = 1, 2, 4
"""Marks of a part: spoilt, a component that nobody has ordered, and how often it has been reworked."""

# --- the line record ---------------------------------------------------------------------------
L_FLOAT_COLUMNS = ("material_kg", "scrap_kg", "failure_rate_factor", "out_kg", "expected_defects")
L_FLOATS = len(L_FLOAT_COLUMNS)
LINE_MATERIAL_KG, LINE_SCRAP_KG, FAILURE_RATE, LINE_OUT_KG, EXPECTED_DEFECTS = range(L_FLOATS)
L_INT_COLUMNS = (
    "seed",
    "world",
    "next_part",
    "released",
    "good",
    "scrapped",
    "ordered",
    "free_slots",
    "queue_head",
    "queue_length",
)
L_INTS = len(L_INT_COLUMNS)
(
    SEED,
    WORLD,
    NEXT_PART,
    RELEASED,
    GOOD,
    LINE_SCRAPPED,
    ORDERED,
    FREE_SLOTS,
    QUEUE_HEAD,
    QUEUE_LENGTH,
) = range(L_INTS)

# --- constants: integers of the line, then of each element and buffer --------------------------
(
    K_ELEMENTS,
    K_BUFFERS,
    K_SLOTS,
    K_DISTURBANCES,
    K_LINE_F,
    K_DISTURBANCE_F,
    K_STATE_F,
    K_PART_F,
    K_LINE_I,
    K_BUFFER_I,
    K_RING_I,
    K_PART_I,
    K_FREE_I,
    K_QUEUE_I,
    K_BUFFER_K,
    K_FED_K,
    K_VECTORS,
) = range(17)
N_K = 17
ELEMENTS_K = N_K
"""The constants of the elements follow at once; those in ``c`` begin at 0."""

EK = 45
"""The last four are addresses of machine code; only the compiled engine fills them, in its own copy."""
(
    KIND,
    TAKES_FROM,
    GIVES_TO,
    INSPECTS,
    RESTART_SCRAP,
    CAN_STANDBY,
    HAS_TOOL,
    N_SETPOINTS,
    N_X,
    N_D,
    N_P,
    N_Y,
    X_F,
    P_C,
    D_K,
    PLACES,
    PLACES_I,
    MIXED_BY,
    VECTORS_V,
    OUT_V,
    PLACED_K,
    DRIFTS,
    ELAPSED_D,
    PRODUCT_D,
    WAKE_AT,
    AT_LEAST,
    BATCH,
    PICKS,
    ALSO_TAKES_K,
    ALSO_GIVES_K,
    ALSO_GIVES_C,
    SETUP_C,
    CREWS_K,
    DUTY_C,
    REWORK_TO,
    REWORK_PASSES,
    SERVICE_OPS,
    WIP_LIMIT,
    OF_COMPONENTS,
    CARRIES,
    OWN_F,
    WRITE_AT,
    STEP_AT,
    SHIFT_AT,
    READY_AT,
) = range(EK)
SINK = -1
SCRAP = -2
FIFO, LIFO, SAME_PRODUCT = range(3)
"""Which part a station takes; SAME_PRODUCT: the oldest that needs no setup, else the oldest."""

BK = 3
ROOM, FIRST, BELT_AT = range(BK)
"""Constants of a buffer: places, where its ring begins, the belt that is in it (0: none)."""

# --- what a station with places must know of its process model, at PLACED_K; then its exit outputs
(D_AMBIENT, D_PHASE, D_PLACES, U_SETBACK, Y_POWER, Y_GAS, Y_RATE, Y_DEFECT) = range(8)
PK = 8

FIXED, EXPONENTIAL, LOGNORMAL = range(3)
"""How times scatter: cycle times around the process model's, repair times around their mean."""

EC = 31
(
    C_OFF_KW,
    C_STANDBY_KW,
    C_WARM_UP_KW,
    C_IDLE_KW,
    C_WARM_UP_S,
    C_BETWEEN_S,
    _C_BETWEEN_1,
    C_REPAIR_S,
    _C_REPAIR_1,
    C_REPAIR_CV,
    _C_REPAIR_CV_1,
    C_REPAIR_LAW,
    _C_REPAIR_LAW_1,
    C_TOOL_LIFE_MM,
    C_TOOL_LIFE_CV,
    C_TOOL_CHANGE_S,
    C_RESTART_AFTER_S,
    C_STEP_S,
    C_CYCLE_LAW,
    C_CYCLE_CV,
    C_SHIFT_H,
    C_STRIKE_BETWEEN_S,
    C_STRIKE_REPAIR_S,
    C_STRIKE_REPAIR_CV,
    C_STRIKE_REPAIR_LAW,
    C_SERVICE_EVERY_S,
    C_SERVICE_S,
    C_FINDS,
    C_FALSE_ALARMS,
    C_TRANSIT_S,
    C_STARTS_AT_H,
) = range(EC)
