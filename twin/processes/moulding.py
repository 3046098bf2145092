"""Injection moulding: one shot of a machine, polypropylene part, one cavity.

The cooling time is set by the engineer, and most of the cycle; the shortest one that is safe follows
from plate cooling. A hotter melt flows more easily but costs heat and cooling time; a warmer coolant
saves chiller power but needs time as well. Packing pressure corrects weight and shrinkage. Letters:

    T_m  melt, T_w mould wall, T_e ejection temperature (middle of the wall), degC
    p    packing pressure, bar           eta  viscosity relative to the reference, at the melt
    s    wall thickness, mm              alpha  thermal diffusivity, mm2/s
    t_k  cooling time set, t_min the plate's cooling time, s

Plate cooling: t_min = s^2/(pi^2 alpha) ln((4/pi) (T_m - T_w)/(T_e - T_w)) (Ballman & Shusman 1959).
Energy: P_base * cycle + slope * mass, the form that Kent (Plastics Engineering, Nov 2015) recommends;
the slope contains heating, injection, holding and cooling at the reference, so only their *changes*
against the reference are added. Weight and shrinkage are gains about the reference (signs: Trinh,
ETASR 10702, 2025; Demirer, Mater. Des. 28 (2007) 1467), sizes assumed, ordered by compressibility.
"""

from __future__ import annotations

import sys

from twin.processes import maths_numbers as xp
from twin.processes.model import (
    Kind,
    ProcessModel,
    Quantity,
    Scalar,
    Variant,
    Vector,
    output,
    per_part_outputs,
    positions,
)

__all__ = ["MODEL"]


def cycle(x: Vector, u: Vector, d: Vector, p: Vector) -> tuple[Scalar, ...]:
    """Return what one shot costs and yields; nothing wears."""
    dT_m = u[U.melt_temp_c] - p[P.reference_melt_temp_c]
    dT_c = u[U.coolant_temp_c] - p[P.reference_coolant_temp_c]
    dp = 0.1 * (u[U.packing_pressure_bar] - p[P.reference_packing_pressure_bar])  # MPa
    t_k = u[U.cooling_time_s]
    lot = d[D.viscosity_rel] * (1.0 - p[P.regrind_viscosity] * d[D.regrind_share])
    eta = lot * xp.exp(-p[P.viscosity_per_k] * dT_m)

    cycle_time_s = p[P.fill_time_s] + p[P.pack_time_s] + t_k + p[P.open_eject_time_s]
    T_w = u[U.coolant_temp_c] + p[P.wall_above_coolant_k]
    t_short = plate_cooling_s(u[U.melt_temp_c], T_w, p) - t_k

    weight_pct = (
        p[P.weight_per_mpa] * dp
        + p[P.weight_per_melt_k] * dT_m
        + p[P.weight_per_coolant_k] * dT_c
        + p[P.weight_per_ln_viscosity] * xp.log(lot)
    )
    early_s = p[P.early_width_s] * xp.softplus(t_short / p[P.early_width_s])
    shrinkage_pct = (
        p[P.shrinkage_nominal_pct]
        + p[P.shrinkage_per_mpa] * dp
        + p[P.shrinkage_per_melt_k] * dT_m
        + p[P.shrinkage_per_coolant_k] * dT_c
        + p[P.shrinkage_per_ln_viscosity] * xp.log(lot)
        + p[P.shrinkage_per_early_s] * early_s
    )

    mass_kg = p[P.part_mass_kg] * (1.0 + 0.01 * weight_pct)
    injected_cm3 = 1000.0 * p[P.part_mass_kg] / p[P.melt_density_kg_per_l]
    injection_kj = 1e-4 * p[P.filling_pressure_bar] * injected_cm3 / p[P.drive_efficiency]
    holding_kj = p[P.holding_kw_per_bar] * p[P.pack_time_s] * 10.0 * dp
    barrel_kw = p[P.barrel_loss_kw_per_k] * dT_m
    cold_kw = p[P.cold_power_kw_per_k] * xp.maximum(0.0, 20.0 - d[D.ambient_c])
    heating_kj = mass_kg * p[P.melt_heat_kj_per_kg_k] * dT_m / p[P.heating_efficiency]
    cooled_kj = mass_kg * (p[P.cooled_heat_kj_per_kg] + p[P.melt_heat_kj_per_kg_k] * dT_m)
    chiller_kj = cooled_kj / (p[P.chiller_cop] * (1.0 + p[P.chiller_cop_per_k] * dT_c))
    chiller_ref_kj = p[P.part_mass_kg] * p[P.cooled_heat_kj_per_kg] / p[P.chiller_cop]
    energy_kwh = p[P.slope_kwh_per_kg] * mass_kg + (
        (p[P.base_power_kw] + barrel_kw + cold_kw) * cycle_time_s
        + heating_kj
        + injection_kj * (eta - 1.0)
        + holding_kj
        + chiller_kj
        - chiller_ref_kj
    ) / 3600.0  # fmt: skip

    weight_ok = share_within(weight_pct, p[P.weight_tolerance_pct], p[P.weight_sd_pct])
    shrinkage_off = shrinkage_pct - p[P.shrinkage_nominal_pct]
    shrinkage_ok = share_within(shrinkage_off, p[P.shrinkage_tolerance_pct], p[P.shrinkage_sd_pct])
    warped = xp.logistic((t_short - p[P.warp_after_s]) / p[P.warp_width_s])
    other = p[P.base_defect] + p[P.regrind_defect] * d[D.regrind_share]
    defect_probability = 1.0 - weight_ok * shrinkage_ok * (1.0 - warped) * (1.0 - other)
    return (
        cycle_time_s,
        energy_kwh,
        mass_kg,
        defect_probability,
        0.0,
        weight_pct,
        shrinkage_pct,
    )


def plate_cooling_s(T_m: Scalar, T_w: Scalar, p: Vector) -> Scalar:
    """Time until the middle of the plate has fallen to the ejection temperature."""
    s, alpha, T_e = p[P.wall_thickness_mm], p[P.diffusivity_mm2_per_s], p[P.ejection_temp_c]
    ratio = 1.2732395447351628 * (T_m - T_w) / (T_e - T_w)
    return s * s / (9.869604401089358 * alpha) * xp.log(ratio)


def share_within(off_centre: Scalar, tolerance: Scalar, sd: Scalar) -> Scalar:
    """Share of shots inside a symmetric tolerance, the scatter being normal."""
    return xp.normal_cdf((tolerance - off_centre) / sd) - xp.normal_cdf(
        (-tolerance - off_centre) / sd
    )


_A = "assumption"
_TRINH = "assumption; sign: Trinh, ETASR 10702 (2025)"
_DEMIRER = "assumption; sign: Demirer et al., Mater. Des. 28 (2007) 1467"
_HWAMDA = "assumption; specific energy of such machines: Hwamda guide"

MVS = (
    Quantity("melt_temp_c", "Cel", 200.0, 240.0, 220.0, _A),
    Quantity("coolant_temp_c", "Cel", 15.0, 50.0, 30.0, _A),
    Quantity("packing_pressure_bar", "bar", 300.0, 550.0, 400.0, _A),
    Quantity("cooling_time_s", "s", 15.0, 40.0, 24.0, "assumption: 60 to 80 % of the cycle"),
)
DVS = (
    Quantity(
        "viscosity_rel", "1", 0.5, 1.6, 1.0, "derived: melt-flow scatter of lots, luyiss MFI drift"
    ),
    Quantity("regrind_share", "1", 0.0, 0.5, 0.0, "20 to 25 % is usual: log-imm, regrind guide"),
    Quantity("ambient_c", "Cel", -10.0, 45.0, 20.0, _A),
)


def _drive(
    base_kw: float, base_lo: float, base_hi: float, slope: float, slope_lo: float, slope_hi: float
) -> tuple[Quantity, ...]:
    return (
        Quantity("base_power_kw", "kW", base_lo, base_hi, base_kw, _HWAMDA),
        Quantity("slope_kwh_per_kg", "kW.h/kg", slope_lo, slope_hi, slope, _HWAMDA),
    )


_ALL_ELECTRIC = _drive(3.5, 2.5, 5.0, 0.45, 0.35, 0.6)
_SERVO_HYDRAULIC = _drive(6.0, 4.5, 8.0, 0.50, 0.4, 0.65)
_FIXED_PUMP = _drive(13.0, 9.0, 18.0, 0.45, 0.35, 0.6)

PARAMETERS = (
    *_ALL_ELECTRIC,
    Quantity("reference_melt_temp_c", "Cel", 200.0, 240.0, 220.0, _A),
    Quantity("reference_coolant_temp_c", "Cel", 15.0, 50.0, 30.0, _A),
    Quantity("reference_packing_pressure_bar", "bar", 300.0, 550.0, 400.0, _A),
    Quantity("fill_time_s", "s", 0.5, 10.0, 2.0, _A),
    Quantity("pack_time_s", "s", 1.0, 15.0, 4.0, _A),
    Quantity("open_eject_time_s", "s", 2.0, 15.0, 6.0, _A),
    Quantity("part_mass_kg", "kg", 0.01, 2.0, 0.120, _A),
    Quantity("wall_thickness_mm", "mm", 1.0, 6.0, 3.5, _A),
    Quantity("diffusivity_mm2_per_s", "mm2/s", 0.08, 0.15, 0.09, _A),
    Quantity("ejection_temp_c", "Cel", 75.0, 110.0, 90.0, _A),
    Quantity("wall_above_coolant_k", "K", 0.0, 20.0, 10.0, _A),
    Quantity("early_width_s", "s", 0.1, 2.0, 0.3, _A),
    Quantity("shrinkage_per_early_s", "%/s", 0.0, 0.1, 0.03, _A),
    Quantity("warp_after_s", "s", 0.0, 5.0, 1.0, _A),
    Quantity("warp_width_s", "s", 0.1, 2.0, 0.4, _A),
    Quantity("melt_density_kg_per_l", "kg/l", 0.7, 1.0, 0.9, "assumption: polypropylene"),
    Quantity("filling_pressure_bar", "bar", 200.0, 1500.0, 600.0, _A),
    Quantity("drive_efficiency", "1", 0.4, 0.9, 0.6, _A),
    Quantity("viscosity_per_k", "K-1", 0.0, 0.03, 0.008, _A),
    Quantity("regrind_viscosity", "1", 0.0, 0.4, 0.2, "derived: -5 % at 25 % regrind; luyiss"),
    Quantity("holding_kw_per_bar", "kW/bar", 0.0, 0.01, 0.002, _A),
    Quantity("barrel_loss_kw_per_k", "kW/K", 0.0, 0.02, 0.006, _A),
    Quantity(
        "melt_heat_kj_per_kg_k", "kJ/(kg.K)", 1.8, 3.2, 2.4, "assumption: polypropylene melt"
    ),
    Quantity("heating_efficiency", "1", 0.5, 0.95, 0.7, _A),
    Quantity("cooled_heat_kj_per_kg", "kJ/kg", 300.0, 600.0, 450.0, "assumption: 220 to 90 degC"),
    Quantity("chiller_cop", "1", 2.5, 6.0, 4.0, _A),
    Quantity("chiller_cop_per_k", "K-1", 0.0, 0.05, 0.025, _A),
    Quantity("weight_per_mpa", "%/MPa", 0.01, 0.06, 0.03, _TRINH),
    Quantity("weight_per_melt_k", "%/K", -0.04, 0.01, -0.02, _TRINH),
    Quantity("weight_per_coolant_k", "%/K", -0.03, 0.0, -0.015, _TRINH),
    Quantity(
        "weight_per_ln_viscosity", "%", -1.6, -0.2, -0.63, "assumption: -0.06 % at +10 % viscosity"
    ),
    Quantity("weight_tolerance_pct", "%", 0.1, 3.0, 0.6, _A),
    Quantity(
        "weight_sd_pct", "%", 0.05, 0.2, 0.10,
        "assumption; upper end derived from shot volume, Polenta et al., Information 13 (2022) 272",
    ),
    Quantity("shrinkage_nominal_pct", "%", 0.3, 3.0, 1.5, "assumption: polypropylene"),
    Quantity("shrinkage_per_mpa", "%/MPa", -0.008, -0.002, -0.004, _DEMIRER),
    Quantity("shrinkage_per_melt_k", "%/K", 0.0, 0.01, 0.003, _DEMIRER),
    Quantity("shrinkage_per_coolant_k", "%/K", 0.0, 0.02, 0.006, _A),
    Quantity(
        "shrinkage_per_ln_viscosity", "%", 0.0, 0.3, 0.105, "assumption: +0.01 at +10 % viscosity"
    ),
    Quantity("shrinkage_tolerance_pct", "%", 0.02, 0.5, 0.1, _A),
    Quantity("shrinkage_sd_pct", "%", 0.005, 0.05, 0.02, _A),
    Quantity("base_defect", "1", 0.0, 0.05, 0.02, "assumption: scrap 2 %, 0.5 to 5"),
    Quantity("regrind_defect", "1", 0.0, 0.1, 0.0, "truth only; assumption"),
    Quantity("cold_power_kw_per_k", "kW/K", 0.0, 0.1, 0.0, "truth only; assumption"),
)  # fmt: skip
OUTPUTS = (
    *per_part_outputs(),
    output("weight_pct", "%", -20.0, 20.0, "part weight against nominal"),
    output("shrinkage_pct", "%", -2.0, 10.0, "linear shrinkage"),
)
U, D, P = positions(MVS), positions(DVS), positions(PARAMETERS)

MODEL = ProcessModel(
    name="moulding",
    kind=Kind.PER_PART,
    states=(),
    mvs=MVS,
    dvs=DVS,
    parameters=PARAMETERS,
    outputs=OUTPUTS,
    module=sys.modules[__name__],
    variants=(
        Variant("all_electric", _ALL_ELECTRIC),
        Variant("servo_hydraulic", _SERVO_HYDRAULIC),
        Variant("fixed_pump", _FIXED_PUMP),
    ),
)
