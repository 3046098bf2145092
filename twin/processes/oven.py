"""Paint-cure oven: four convection zones, a conveyor of twenty carriers, one gas burner per zone.

Air in a zone loses heat through the walls, by the exhaust, at the two openings, to its neighbours
and to the carriers that pass. A burner with a PI controller holds each zone at its setpoint; the
circulation fans heat it too, for what they draw ends as heat in the air that they move. A
carrier follows the air around it; its paint cures by an Arrhenius law, counted as *equivalent
minutes* at 170 degC. Carriers stand in slots: slot k reaches from k to k + 1 pitches behind the
entry, and the conveyor's phase says how far the carriers have moved in their slots. When the phase
reaches 1, `shift_carriers` moves every carrier on by one slot and the phase starts again. Letters:

    T    temperature, degC               Q    heat flow, kW
    C    heat capacity of a zone, kJ/K   G    loss or exchange, kW/K
    E/R  activation temperature, K       I    integral part of a burner's controller, kW

Cure: equal results at 165 degC 12 min, 170 degC 10 min and 175 degC 8 min (BYK-Gardner, oven
temperature control) give E = 66.2 kJ/mol.
"""

from __future__ import annotations

import sys

from twin.processes import maths_numbers as xp
from twin.processes.model import (
    HeatStore,
    Kind,
    ProcessModel,
    Quantity,
    Scalar,
    Vector,
    output,
    positions,
)

__all__ = ["CARRIERS", "EXIT_OUTPUTS", "MODEL", "ZONES", "entry_open", "shift_carriers"]

ZONES = 4
CARRIERS = 20
_PER_ZONE = CARRIERS // ZONES
# Where the groups of the state vector begin.
_I, _PART, _CURED = ZONES, 2 * ZONES, 2 * ZONES + CARRIERS


def rates(x: Vector, u: Vector, d: Vector, p: Vector, dx: Vector) -> None:
    """Write the derivatives of all states, per second, into ``dx``."""
    T_amb = d[D.ambient_c]
    C = p[P.zone_heat_capacity_kj_per_k]
    G_zone = zone_loss_kw_per_k(exhaust_nm3_per_h(u, p), p)
    G_opening = opening_loss_kw_per_k(p)
    G_mix = p[P.zone_exchange_kw_per_k]
    fan_rel = fan_in_force(u, p)
    fan_heat_kw = p[P.fan_heat_share] * circulation_kw(fan_rel, p) / ZONES
    for z in range(ZONES):
        T = x[z]
        fired_kw, asked_kw, error_k = burner(z, x, u, p)
        Q = fired_kw + fan_heat_kw - G_zone * (T - T_amb)
        # The first and the last zone have an opening where the others have a neighbour.
        Q = Q - (G_mix * (T - x[z - 1]) if z > 0 else G_opening * (T - T_amb))
        Q = Q - (G_mix * (T - x[z + 1]) if z < ZONES - 1 else G_opening * (T - T_amb))
        dx[z] = Q / C
        held = (fired_kw - asked_kw) / p[P.anti_windup_s]
        dx[_I + z] = p[P.burner_gain_kw_per_k] / p[P.burner_reset_s] * error_k + held

    hA = heat_transfer_kw_per_k(fan_rel, p)
    for k in range(CARRIERS):
        mass_kg = d[_MASS + k]
        present = xp.where(mass_kg - 0.5, 1.0, 0.0)
        T = x[_PART + k]
        zone = k // _PER_ZONE
        ahead, behind = beside_zone(k, d)
        inside = 1.0 - ahead - behind
        before_c = x[zone - 1] if zone > 0 else T_amb
        after_c = x[zone + 1] if zone < ZONES - 1 else T_amb
        G = present * hA
        heated_kw = G * (inside * (x[zone] - T) + ahead * (after_c - T) + behind * (before_c - T))
        dx[_PART + k] = heated_kw / (xp.maximum(mass_kg, 1.0) * p[P.steel_heat_kj_per_kg_k])
        G_load = G * hanger_factor(xp.maximum(mass_kg, 1.0), p)
        dx[zone] = dx[zone] - inside * G_load * (x[zone] - T) / C
        if zone < ZONES - 1:
            dx[zone + 1] = dx[zone + 1] - ahead * G_load * (after_c - T) / C
        if zone > 0:
            dx[zone - 1] = dx[zone - 1] - behind * G_load * (before_c - T) / C
        dx[_CURED + k] = present * cure_rate(T, p) / 60.0


def outputs(x: Vector, u: Vector, d: Vector, p: Vector) -> tuple[Scalar, ...]:
    """Return power and gas, the burners, and the state of the carrier in the last slot."""
    power_kw = circulation_kw(fan_in_force(u, p), p)
    exhaust_rel = xp.power(exhaust_nm3_per_h(u, p) / p[P.exhaust_nm3_per_h], 3.0)
    power_kw = power_kw + p[P.exhaust_fan_power_kw] * xp.maximum(p[P.fan_floor], exhaust_rel)
    burner_1_kw = burner(0, x, u, p)[0]
    burner_2_kw = burner(1, x, u, p)[0]
    burner_3_kw = burner(2, x, u, p)[0]
    burner_4_kw = burner(3, x, u, p)[0]
    gas_kw = (burner_1_kw + burner_2_kw + burner_3_kw + burner_4_kw) / p[P.burner_efficiency]

    hottest_c = d[D.ambient_c]
    for k in range(CARRIERS):
        T = xp.where(d[_MASS + k] - 0.5, x[_PART + k], d[D.ambient_c])
        hottest_c = xp.maximum(hottest_c, T)
    exit_c, cured_min = x[_PART + CARRIERS - 1], x[_CURED + CARRIERS - 1]
    under = xp.logistic((p[P.cured_least_min] - cured_min) / p[P.cure_spread_min])
    over = xp.logistic((cured_min - p[P.cured_most_min]) / p[P.cure_spread_min])
    burnt = xp.logistic((hottest_c - p[P.metal_limit_c]) / p[P.metal_spread_k])
    good = (1.0 - under) * (1.0 - over) * (1.0 - burnt)
    return (
        power_kw,
        gas_kw,
        burner_1_kw,
        burner_2_kw,
        burner_3_kw,
        burner_4_kw,
        60.0 * u[U.conveyor_speed_m_per_min] / p[P.pitch_m],
        exit_c,
        cured_min,
        hottest_c,
        xp.where(d[_MASS + CARRIERS - 1] - 0.5, 1.0 - good, 0.0),
    )


def burner(z: int, x: Vector, u: Vector, p: Vector) -> tuple[Scalar, Scalar, Scalar]:
    """Heat that burner ``z`` gives and the heat its controller asks for, kW, and the error, K."""
    setpoint_c = u[z] - p[P.setback_k] * u[U.setback]
    error_k = setpoint_c - x[z]
    asked_kw = p[P.burner_gain_kw_per_k] * error_k + x[_I + z]
    return xp.limit(asked_kw, 0.0, p[P.burner_limit_kw]), asked_kw, error_k


def exhaust_nm3_per_h(u: Vector, p: Vector) -> Scalar:
    """Return the exhaust flow: in setback at its safety minimum, which no controller may touch."""
    normal = p[P.exhaust_nm3_per_h]
    return normal + u[U.setback] * (p[P.exhaust_minimum_nm3_per_h] - normal)


def fan_in_force(u: Vector, p: Vector) -> Scalar:
    """Return the circulation fans' speed: in setback the one below which they draw no less."""
    asked = u[U.fan_speed_rel]
    least = xp.power(p[P.fan_floor], 1.0 / 3.0)
    return asked + u[U.setback] * (xp.minimum(asked, least) - asked)


def circulation_kw(fan_rel: Scalar, p: Vector) -> Scalar:
    """Return what the circulation fans draw: by the cube law, down to a floor."""
    return p[P.fan_power_kw] * xp.maximum(p[P.fan_floor], xp.power(fan_rel, 3.0))


def zone_loss_kw_per_k(exhaust_nm3_per_h: Scalar, p: Vector) -> Scalar:
    """Return what one zone loses by its share of the walls and of the exhaust."""
    walls = 0.001 * p[P.wall_area_m2] * p[P.wall_loss_w_per_m2_k]
    return (walls + exhaust_nm3_per_h * p[P.air_heat_kj_per_nm3_k] / 3600.0) / ZONES


def opening_loss_kw_per_k(p: Vector) -> Scalar:
    """Return what the first and the last zone each lose at their opening."""
    return p[P.opening_loss_kw_per_k] * (1.0 + p[P.door_loss_rel])


def heat_transfer_kw_per_k(fan_speed_rel: Scalar, p: Vector) -> Scalar:
    """Return what flows from the air to one carrier."""
    still = 0.001 * p[P.heat_transfer_w_per_m2_k] * p[P.carrier_area_m2]
    return still * xp.power(fan_speed_rel, p[P.fan_heat_exponent])


def hanger_factor(mass_kg: Scalar, p: Vector) -> Scalar:
    """Return the heat of part and hanger against that of the part: both heat up alike (assumption)."""
    return 1.0 + p[P.hanger_mass_kg] / mass_kg


def cure_rate(part_c: Scalar, p: Vector) -> Scalar:
    """Return the equivalent minutes gained per minute: 1 at 170 degC."""
    E_R = p[P.activation_kj_per_mol] / 0.00831446261815324
    return xp.exp(-E_R * (1.0 / (part_c + 273.15) - 1.0 / 443.15))


def beside_zone(k: int, d: Vector) -> tuple[Scalar, Scalar]:
    """Share of carrier ``k`` that is already in the next zone, and still in the one before.

    A carrier is one pitch long (assumption), its middle at ``k + phase``, so that only the last
    and the first carrier of a zone can straddle a border.
    """
    phase = d[D.conveyor_phase]
    last, first = (k + 1) % _PER_ZONE == 0, k % _PER_ZONE == 0
    ahead = xp.maximum(0.0, phase - 0.5) if last else 0.0 * phase
    behind = xp.maximum(0.0, 0.5 - phase) if first else 0.0 * phase
    return ahead, behind


def entry_open(x: Vector, u: Vector, p: Vector) -> bool:
    """Whether a carrier may enter: the oven is not set back and no zone is far too cold."""
    is_open: bool = u[U.setback] <= 0.0
    for z in range(ZONES):
        is_open = is_open and u[z] - x[z] <= p[P.entry_below_k]
    return is_open


def shift_carriers(x: Vector, entering_c: float) -> None:
    """Move every carrier on by one slot, in place; a cold, uncured one takes the first slot.

    To be called with the shift of the masses, at the moment at which the phase goes from 1 to 0.
    """
    for k in range(CARRIERS - 1, 0, -1):
        x[_PART + k] = x[_PART + k - 1]
        x[_CURED + k] = x[_CURED + k - 1]
    x[_PART] = entering_c
    x[_CURED] = 0.0


_A = "assumption"

STATES = (
    *(
        Quantity(f"zone_{z + 1}_c", "Cel", -10.0, 260.0, start_c, _A)
        for z, start_c in enumerate((145.0, 180.0, 175.0, 170.0))
    ),
    *(
        Quantity(f"burner_{z + 1}_integral_kw", "kW", -150.0, 250.0, 50.0, "controller state")
        for z in range(ZONES)
    ),
    *(
        Quantity(f"carrier_{k + 1}_c", "Cel", -10.0, 260.0, 25.0, "part temperature")
        for k in range(CARRIERS)
    ),
    *(
        Quantity(f"carrier_{k + 1}_cured_min", "min", 0.0, 1000.0, 0.0, "equivalent minutes")
        for k in range(CARRIERS)
    ),
)
MVS = (
    *(
        Quantity(f"zone_{z + 1}_setpoint_c", "Cel", 100.0, 215.0, setpoint_c, _A)
        for z, setpoint_c in enumerate((145.0, 180.0, 175.0, 170.0))
    ),
    Quantity("conveyor_speed_m_per_min", "m/min", 0.4, 1.2, 0.8, _A),
    Quantity("fan_speed_rel", "1", 0.5, 1.0, 1.0, _A),
    Quantity("setback", "1", 0.0, 1.0, 0.0, "1 lowers setpoints, fans and exhaust; assumption"),
)
DVS = (
    Quantity("ambient_c", "Cel", -10.0, 45.0, 25.0, "assumption, 10 to 35 indoors"),
    Quantity("conveyor_phase", "1", 0.0, 1.0, 0.5, "position of the carriers in their slots"),
    *(
        Quantity(f"carrier_{k + 1}_mass_kg", "kg", 0.0, 120.0, 60.0, "assumption; 0 = empty slot")
        for k in range(CARRIERS)
    ),
)
PARAMETERS = (
    Quantity(
        "zone_heat_capacity_kj_per_k", "kJ/K", 400.0, 900.0, 612.0,
        "derived: 5 t of steel, 0.68 kWh/K, a quarter per zone",
    ),
    Quantity("wall_area_m2", "m2", 200.0, 400.0, 279.0, "derived: 24 m x 2.5 m x 3 m inside"),
    Quantity("wall_loss_w_per_m2_k", "W/(m2.K)", 1.14, 2.27, 1.42, "Intek, 6 inch panels"),
    Quantity(
        "exhaust_nm3_per_h", "m3/h", 800.0, 3000.0, 1500.0,
        "assumption; up to half the heat load: Process Heating 88645",
    ),
    Quantity(
        "exhaust_minimum_nm3_per_h", "m3/h", 800.0, 3000.0, 900.0,
        "assumption; safety limit by the flammable limit: Process Heating 88645 on NFPA 86",
    ),
    Quantity(
        "air_heat_kj_per_nm3_k", "kJ/(m3.K)", 1.29, 1.34, 1.319,
        "derived: 1.293 kg per normal m3 at 1.02 kJ/(kg K)",
    ),
    Quantity(
        "opening_loss_kw_per_k", "kW/K", 0.035, 0.16, 0.0717,
        "derived: 19 kW (assumption, 10 to 40) at both openings together",
    ),
    Quantity("zone_exchange_kw_per_k", "kW/K", 0.05, 0.4, 0.15, _A),
    Quantity("heat_transfer_w_per_m2_k", "W/(m2.K)", 18.0, 35.0, 25.0, _A),
    Quantity("carrier_area_m2", "m2", 1.0, 10.0, 4.0, _A),
    Quantity("fan_heat_exponent", "1", 0.5, 1.0, 0.8, "assumption: turbulent convection"),
    Quantity("hanger_mass_kg", "kg", 5.0, 30.0, 15.0, _A),
    Quantity("steel_heat_kj_per_kg_k", "kJ/(kg.K)", 0.46, 0.52, 0.49, "assumption: mild steel"),
    Quantity(
        "activation_kj_per_mol", "kJ/mol", 59.0, 74.0, 66.2, "derived from BYK-Gardner, see above"
    ),
    Quantity("burner_limit_kw", "kW", 60.0, 200.0, 120.0, _A),
    Quantity("burner_gain_kw_per_k", "kW/K", 1.0, 20.0, 6.0, "assumption: tuning"),
    Quantity("burner_reset_s", "s", 100.0, 3000.0, 600.0, "assumption: tuning"),
    Quantity("anti_windup_s", "s", 20.0, 1000.0, 100.0, "assumption: tuning"),
    Quantity("burner_efficiency", "1", 0.80, 0.95, 0.90, _A),
    Quantity("entry_below_k", "K", 2.0, 50.0, 12.0, "assumption: interlock of the loading station"),
    Quantity("setback_k", "K", 0.0, 80.0, 40.0, _A),
    Quantity("fan_power_kw", "kW", 10.0, 60.0, 30.0, "assumption: 4 x 7.5 kW"),
    Quantity("exhaust_fan_power_kw", "kW", 0.5, 5.0, 2.0, _A),
    Quantity("fan_floor", "1", 0.1, 0.5, 0.25, _A),
    Quantity(
        "fan_heat_share", "1", 0.0, 1.0, 0.9,
        "assumption: losses of motor and drive, a tenth, stay outside",
    ),
    Quantity("pitch_m", "m", 1.2, 1.2, 1.2, "assumption: 24 m of oven hold twenty carriers"),
    Quantity("cured_least_min", "min", 8.0, 12.0, 10.0, "BYK-Gardner: 10 min at 170 degC"),
    Quantity("cured_most_min", "min", 15.0, 30.0, 24.0, "assumption; overbake, PowderX: 50-100 %"),
    Quantity("cure_spread_min", "min", 0.1, 1.0, 0.25, _A),
    Quantity("metal_limit_c", "Cel", 180.0, 210.0, 200.0, "PCI magazine 95547: 177 to 204 degC"),
    Quantity("metal_spread_k", "K", 0.2, 5.0, 1.0, _A),
    Quantity("door_loss_rel", "1", 0.0, 1.0, 0.0, "truth only; assumption"),
)  # fmt: skip
OUTPUTS = (
    output("power_kw", "kW", 0.0, 100.0, "electricity: fans"),
    output("gas_kw", "kW", 0.0, 1000.0, "lower heating value"),
    *(output(f"burner_{z + 1}_kw", "kW", 0.0, 200.0, "heat given") for z in range(ZONES)),
    output("carriers_per_h", "h-1", 0.0, 100.0, "conveyor speed by pitch"),
    output("exit_c", "Cel", -10.0, 260.0, "metal temperature in the last slot"),
    output("exit_cured_min", "min", 0.0, 1000.0, "equivalent minutes at 170 degC, last slot"),
    output("hottest_c", "Cel", -10.0, 260.0, "hottest carrier"),
    output("defect_probability", "1", 0.0, 1.0, "carrier in the last slot, were it to leave now"),
)
# What is measured of a carrier that leaves; the other outputs belong to the oven.
EXIT_OUTPUTS = ("exit_c", "exit_cured_min", "hottest_c")

U, D, P = positions(MVS), positions(DVS), positions(PARAMETERS)
_MASS = int(D.carrier_1_mass_kg)

MODEL = ProcessModel(
    name="oven",
    kind=Kind.CONTINUOUS,
    states=STATES,
    mvs=MVS,
    dvs=DVS,
    parameters=PARAMETERS,
    outputs=OUTPUTS,
    module=sys.modules[__name__],
    step_s=10.0,
    stores=tuple(
        HeatStore(
            f"zone_temp_{z}_c",
            f"zone_{z}_setpoint_c",
            "zone_heat_capacity_kj_per_k",
            "burner_efficiency",
        )
        for z in range(1, ZONES + 1)
    ),
)
