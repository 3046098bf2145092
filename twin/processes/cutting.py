"""Turning, milling, drilling: one cycle of a metal-cutting machine.

The tool removes a fixed volume, so a faster cut is a shorter cycle; it draws more power while it
lasts, wears the edge faster (Taylor) and, with more feed, leaves a rougher surface. The base load of
the machine runs all through the cycle: that is why cutting faster saves energy, and Taylor is why it
costs tools. Letters in the equations:

    v    cutting speed, m/min            f    feed per revolution or tooth, mm
    a    equivalent depth, mm: removal rate / (v f). Turning: depth of cut; milling:
         a_p a_e z / (pi D); drilling: D / 4
    h    chip thickness, mm              k_c  specific cutting force, N/mm2 = J/cm3
    MRR  removal rate, cm3/min           t_c  cutting time, s
    T    tool life, min                  VB   flank wear, mm

Kienzle force: k_c = k_c1.1 h^-m_c (Kienzle, VDI-Z 94 (1952) 299). Taylor tool life: v T^n = C, at
the reference feed; C falls with the feed as f^-x. The depth is given by the tool path and is
contained in C. The life of the single edge, which scatters, is the line's business.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

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
    """Return what one cycle costs and yields, with the wear that the edge has at its start."""
    VB = x[X.wear_mm]
    v, f = u[U.cutting_speed_m_per_min], u[U.feed_mm]
    f_ref = p[P.reference_feed_mm]
    a = p[P.depth_mm]

    t_ref = p[P.reference_cycle_time_s]
    t_c_ref = p[P.cutting_share] * t_ref
    t_c = t_c_ref * p[P.reference_cutting_speed_m_per_min] * f_ref / (v * f)
    cycle_time_s = t_ref - t_c_ref + t_c

    force_rel = d[D.hardness_rel] * (1.0 + p[P.wear_force_per_mm] * VB)
    P_tool = force_rel * tool_power_kw(v, f, a, p[P.k_c11_n_per_mm2], p[P.m_c], p[P.edge_angle_deg])
    P_cut = P_tool / p[P.efficiency]
    P_0 = p[P.base_power_kw]
    energy_kwh = (P_0 * cycle_time_s + P_cut * t_c) / 3600.0

    C = p[P.taylor_c_m_per_min]
    T = xp.power(C / (v * xp.power(f / f_ref, p[P.taylor_feed_exponent])), 1.0 / p[P.taylor_n])
    wear_increment = p[P.wear_limit_mm] * t_c / (60.0 * T)

    roughness_um = peak_roughness_um(f, p[P.corner_radius_mm])
    too_rough = (roughness_um / p[P.roughness_limit_um] - 1.0) / p[P.roughness_spread]
    wear_rel = VB / p[P.wear_limit_mm]
    defect_probability = xp.minimum(
        1.0,
        p[P.base_defect]
        + p[P.wear_defect] * wear_rel * wear_rel * wear_rel
        + xp.logistic(too_rough),
    )
    return (
        cycle_time_s,
        energy_kwh,
        p[P.material_kg],
        defect_probability,
        wear_increment,
        roughness_um,
        P_0 + P_cut,
    )


def tool_power_kw(
    v: Scalar, f: Scalar, a: Scalar, k_c11: Scalar, m_c: Scalar, kappa: Scalar
) -> Scalar:
    """Power at the tool edge: specific force times removal rate; ``kappa`` in degrees."""
    h = f * xp.sin(kappa * 0.017453292519943295)
    k_c = k_c11 * xp.power(h, -m_c)
    MRR = v * f * a
    return k_c * MRR / 60000.0


def peak_roughness_um(f: Scalar, r: Scalar) -> Scalar:
    """Kinematic roughness Ra = f^2 / (32 r), feed and corner radius in mm."""
    return 1000.0 * f * f / (32.0 * r)


# Defects. The line scraps 2 % (assumption, 0.5 to 4), 40 % of it because of tool wear (assumption),
# shared equally by its three cutting stations.
_STATION_DEFECT = 1.0 - (1.0 - 0.02) ** (1.0 / 3.0)
_WEAR_SHARE = 0.4
# Wear defects grow as (VB / limit)^3 (assumption); VB passes evenly through its range, mean 1/4.
_WEAR_DEFECT = 4.0 * _WEAR_SHARE * _STATION_DEFECT
_ROUGHNESS_SPREAD = 0.03

_ROEHM = "derived: fit to k_c(f) of C45, Roehm RN-1391 p. 43"
_ISCAR = "ISCAR turning catalogue 2017 p. 558, unalloyed steel 190 HB, positive rake"


@dataclass(frozen=True, slots=True)
class _Operation:
    """What distinguishes one kind of cutting from another; all values are at the reference."""

    cycle_time_s: float
    cutting_share: float
    mean_power_kw: float
    mean_power_range_kw: str
    speed: tuple[float, float, float]
    feed: tuple[float, float, float]
    depth_mm: float
    depth_source: str
    k_c11: float
    m_c: float
    force_source: str
    edge_angle_deg: float
    tool_life_min: float
    corner_radius_mm: float
    roughness_limit_um: float

    def quantities(self) -> tuple[Quantity, ...]:
        """Declare the quantities in which operations differ, the derived ones calculated."""
        v_lo, v, v_hi = self.speed
        f_lo, f, f_hi = self.feed
        n = 0.25
        C = v * self.tool_life_min**n
        efficiency = 0.78
        cut_kw = (
            self.cutting_share
            / efficiency
            * float(tool_power_kw(v, f, self.depth_mm, self.k_c11, self.m_c, self.edge_angle_deg))
        )
        base_kw = self.mean_power_kw - cut_kw
        ra = peak_roughness_um(f, self.corner_radius_mm)
        rough = xp.logistic((ra / self.roughness_limit_um - 1.0) / _ROUGHNESS_SPREAD)
        base_defect = (1.0 - _WEAR_SHARE) * _STATION_DEFECT - rough
        A = "assumption"
        return (
            Quantity("cutting_speed_m_per_min", "m/min", v_lo, v_hi, v, A),
            Quantity("feed_mm", "mm", f_lo, f_hi, f, A),
            Quantity(
                "k_c11_n_per_mm2",
                "N/mm2",
                0.8 * self.k_c11,
                1.2 * self.k_c11,
                self.k_c11,
                f"{self.force_source}; range: published tables differ by 25 to 40 %",
            ),
            Quantity("m_c", "1", self.m_c - 0.05, self.m_c + 0.05, self.m_c, self.force_source),
            Quantity("edge_angle_deg", "deg", 30.0, 95.0, self.edge_angle_deg, A),
            Quantity("depth_mm", "mm", 0.2, 10.0, self.depth_mm, f"{A}: {self.depth_source}"),
            Quantity(
                "base_power_kw",
                "kW",
                0.5,
                12.0,
                base_kw,
                f"derived: mean processing power {self.mean_power_kw} kW (assumption, "
                f"{self.mean_power_range_kw}) less the mean power of the reference cut",
            ),
            Quantity("reference_cycle_time_s", "s", 10.0, 600.0, self.cycle_time_s, A),
            Quantity("cutting_share", "1", 0.2, 0.9, self.cutting_share, A),
            Quantity("reference_cutting_speed_m_per_min", "m/min", v_lo, v_hi, v, A),
            Quantity("reference_feed_mm", "mm", f_lo, f_hi, f, A),
            Quantity(
                "taylor_c_m_per_min",
                "m/min",
                0.76 * C,
                1.16 * C,
                C,
                f"assumption: an edge lasts {self.tool_life_min:g} min at {v:g} m/min; "
                "range that of C45, coated carbide, 330 to 500 m/min about 433",
            ),
            Quantity("corner_radius_mm", "mm", 0.2, 2.4, self.corner_radius_mm, A),
            Quantity("roughness_limit_um", "um", 0.4, 25.0, self.roughness_limit_um, A),
            Quantity(
                "base_defect",
                "1",
                0.0,
                0.05,
                base_defect,
                "derived: 60 % of a third of the line's 2 % scrap (assumption, 0.5 to 4 %), "
                "less the roughness part at the reference",
            ),
        )


_TURNING = _Operation(
    cycle_time_s=52.0, cutting_share=0.52, mean_power_kw=7.5, mean_power_range_kw="5 to 10",
    speed=(150.0, 220.0, 290.0), feed=(0.15, 0.30, 0.38),
    depth_mm=2.0, depth_source="depth of cut 2 mm; removes 60 cm3",
    k_c11=2085.0, m_c=0.173, force_source=_ROEHM, edge_angle_deg=90.0,
    tool_life_min=15.0, corner_radius_mm=0.8, roughness_limit_um=4.5,
)  # fmt: skip
_MILLING = _Operation(
    cycle_time_s=58.0, cutting_share=0.55, mean_power_kw=9.0, mean_power_range_kw="6 to 13",
    speed=(140.0, 200.0, 260.0), feed=(0.08, 0.15, 0.19),
    depth_mm=5.0,
    depth_source="face mill of 63 mm, 5 teeth, 4 mm deep, 49.5 mm wide; removes 80 cm3",
    k_c11=1500.0, m_c=0.22, force_source=_ISCAR, edge_angle_deg=90.0,
    tool_life_min=30.0, corner_radius_mm=0.8, roughness_limit_um=1.15,
)  # fmt: skip
_DRILLING = _Operation(
    cycle_time_s=50.0, cutting_share=0.50, mean_power_kw=5.5, mean_power_range_kw="4 to 8",
    speed=(65.0, 95.0, 125.0), feed=(0.10, 0.20, 0.25),
    depth_mm=2.5, depth_source="solid carbide drill of 10 mm; removes 20 cm3",
    k_c11=2085.0, m_c=0.173, force_source=_ROEHM, edge_angle_deg=59.0,
    tool_life_min=40.0, corner_radius_mm=0.4, roughness_limit_um=4.0,
)  # fmt: skip

_BY_NAME = {quantity.name: quantity for quantity in _TURNING.quantities()}

STATES = (
    Quantity(
        "wear_mm", "mm", 0.0, 0.6, 0.0, "flank wear; end of life at 0.3 mm (calcady, tool life)"
    ),
)
MVS = (_BY_NAME["cutting_speed_m_per_min"], _BY_NAME["feed_mm"])
DVS = (
    Quantity("hardness_rel", "1", 0.7, 1.4, 1.0, "assumption: specific force of the lot, relative"),
)
PARAMETERS = (
    _BY_NAME["k_c11_n_per_mm2"],
    _BY_NAME["m_c"],
    _BY_NAME["edge_angle_deg"],
    _BY_NAME["depth_mm"],
    Quantity(
        "efficiency", "1", 0.70, 0.85, 0.78,
        "assumption; up to 20 % load loss: Proc. IMechE B, 10.1177/0954405418769922",
    ),
    _BY_NAME["base_power_kw"],
    _BY_NAME["reference_cycle_time_s"],
    _BY_NAME["cutting_share"],
    _BY_NAME["reference_cutting_speed_m_per_min"],
    _BY_NAME["reference_feed_mm"],
    _BY_NAME["taylor_c_m_per_min"],
    Quantity("taylor_n", "1", 0.20, 0.30, 0.25, "carbide; calcady, Taylor tool life expectancy"),
    Quantity("taylor_feed_exponent", "1", 0.15, 0.35, 0.25, "assumption"),
    Quantity("wear_limit_mm", "mm", 0.1, 0.6, 0.3, "calcady, Taylor tool life expectancy"),
    _BY_NAME["corner_radius_mm"],
    _BY_NAME["roughness_limit_um"],
    Quantity("roughness_spread", "1", 0.01, 0.1, _ROUGHNESS_SPREAD, "assumption"),
    _BY_NAME["base_defect"],
    Quantity(
        "wear_defect", "1", 0.0, 0.1, _WEAR_DEFECT,
        "derived: 40 % of a third of the line's 2 % scrap comes from wear (assumption), on average "
        "over an edge's life",
    ),
    Quantity(
        "material_kg", "kg", 0.0, 50.0, 0.0, "assumption: the blank is booked where it enters"
    ),
    Quantity(
        "wear_force_per_mm", "mm-1", 0.0, 2.1, 0.0,
        "truth only: 0.9 per mm, 0.5 to 2.1, derived from the Vicomtech tool-wear data set, "
        "IJAMT 125 (2023) 4027",
    ),
)  # fmt: skip
OUTPUTS = (
    *per_part_outputs(wear_unit="mm"),
    output("roughness_um", "um", 0.0, 50.0, "kinematic roughness, f^2 / (32 r)"),
    output("cutting_power_kw", "kW", 0.0, 100.0, "electric power of the machine while it cuts"),
)

X, U, D, P = (positions(group) for group in (STATES, MVS, DVS, PARAMETERS))

MODEL = ProcessModel(
    name="cutting",
    kind=Kind.PER_PART,
    states=STATES,
    mvs=MVS,
    dvs=DVS,
    parameters=PARAMETERS,
    outputs=OUTPUTS,
    module=sys.modules[__name__],
    variants=(
        Variant("turning", _TURNING.quantities()),
        Variant("milling", _MILLING.quantities()),
        Variant("drilling", _DRILLING.quantities()),
    ),
)
