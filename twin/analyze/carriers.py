"""What nobody measures inside an oven: temperature and cure of each carrier, followed by the model.

Zones, places and phase are measured; a carrier's own state is known only when it leaves, by the
sensor at the exit. Between the two the model's law runs along the carrier's way,

    T <- T_air + (T - T_air) exp(-f h A dt / (m c)),      cure <- cure + hot(T) dt,

and what leaves corrects two things: the factor f on the heat transfer, which tells on heavy parts
more than on light ones, and an offset of the cure, which tells on all alike. That is a Kalman filter
with two random walks; its sensitivity to f is carried along with every part, by running a second
copy of it with f a little larger. Metered gas
against the model's heat balance has a scalar filter of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twin.analyze.offset import Offset
from twin.cycle import Observation
from twin.line import schema as s
from twin.line.model import Line
from twin.processes import oven
from twin.processes.bind import bind
from twin.state import LineState

LAWS = bind(oven, {"xp": np})
"""The oven's own equations, over arrays of carriers."""
STEP = 0.03
"""By how much ln f differs in the second copy."""
WALK = np.array([0.002, 0.03])
"""Standard deviations by which ln f and the offset (min) may move from one part to the next."""
START = np.array([0.1, 0.5])
"""Standard deviations of both at the start; assumption, the range of h in the plant file."""
MODEL_MIN = 0.2
"""Standard deviation of one part about the model, minutes; assumption."""
GAS_EVERY_S = 600.0
GAS_SD = 0.05
"""Standard deviation of one such balance in which zones keep their heat; assumption."""
LOSSES_SD = 0.15
"""How far the model's losses may be off, as a share of them; assumption."""
LONGEST_S = 60.0
"""A hole in the readings longer than this is bridged in steps of this length."""
PARTS_OF_A_PLACE = 4
"""In so many steps a part that was there before us is carried over each place that it passed."""


@dataclass(slots=True, eq=False)
class Inside:
    """One oven: its carriers by part number, the filter, and sums for the gas."""

    parts: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    """Temperature and cure, then the same of the second copy."""
    places: tuple[int, ...] = ()
    mass_kg: dict[int, float] = field(default_factory=dict)
    time_s: float = math.nan
    zone_c: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    phase: float = 0.0
    fan_rel: float = 1.0
    ops: int = -1
    ln_f: float = 0.0
    offset_min: float = 0.0
    variance: NDArray[np.float64] = field(default_factory=lambda: np.diag(START * START))
    innovation: float = 0.0
    measured: int = 0
    gas_kwh: float = math.nan
    """The gas meter when it was last looked at."""
    gas_from: tuple[float, float, float] = (math.nan, 0.0, 0.0)
    """Since when heat is summed (s), the gas meter then (kWh), stored heat then (kWh)."""
    heat_kwh: float = 0.0


class CarrierEstimator:
    """Follows one oven; the model's parameters are the nominal ones of the plant file."""

    def __init__(self, line: Line, e: int) -> None:
        element, k = line.elements[e], line.k
        assert element.model is not None
        self.name, self._e = element.name, e
        ek = s.ELEMENTS_K + e * s.EK
        p_c = k[ek + s.P_C]
        self._p = np.array(line.c[p_c : p_c + len(element.model.parameters)])
        self._places, self._places_i = k[ek + s.PLACES], k[ek + s.PLACES_I]
        self._x_f, self._n_x = k[ek + s.X_F], k[ek + s.N_X]
        names = [q.name for q in element.model.states]
        self._part_x = names.index("carrier_1_c")
        self._cured_x = names.index("carrier_1_cured_min")
        self._zones = self._part_x // 2
        self._k = k
        sensor = line.plant.stations[e - 1].sensors.get("exit_cured_min")
        self._noise_min = math.hypot(sensor.noise_sd if sensor else 0.0, MODEL_MIN)
        mvs = [q.name for q in element.model.mvs]
        self._setback_f = line.setpoints_f(e) + mvs.index("setback")
        self._speed_f = line.setpoints_f(e) + mvs.index("conveyor_speed_m_per_min")

    def update(
        self, seen: Observation, twin: LineState, inside: Inside, offsets: dict[str, Offset]
    ) -> None:
        """Carry the parts on to this observation, learn from those that left, tell the twin."""
        places = seen.part_ids.get(self.name)
        zone_c = np.array([seen[f"{self.name}.zone_temp_{z + 1}_c"] for z in range(self._zones)])
        phase, ambient = seen[f"{self.name}.conveyor_phase"], self._ambient(seen)
        told = (*zone_c, phase, seen[f"{self.name}.op_count"])
        # A list that is longer than the oven is no list of what is in it.
        if places is None or len(places) > self._places or not np.isfinite(told).all():
            return
        now_s = seen.time_us / 1e6
        fan = seen[f"{self.name}.fan_speed_rel"]
        fan = inside.fan_rel if math.isnan(fan) else fan
        if math.isnan(inside.time_s):
            inside.zone_c, inside.phase, inside.fan_rel = zone_c, phase, fan
        elif now_s > inside.time_s:
            self._carry_on(inside, places, now_s - inside.time_s, ambient)
            self._learn(inside, seen)
        self._admit(inside, places, twin, ambient)
        self._gas(inside, seen, twin, zone_c, ambient, offsets)
        inside.places, inside.time_s, inside.zone_c, inside.phase = places, now_s, zone_c, phase
        inside.fan_rel = fan
        inside.ops = int(seen[f"{self.name}.op_count"])
        self._tell(inside, twin, offsets)

    def _ambient(self, seen: Observation) -> float:
        value = seen["env.ambient_c"] if "env.ambient_c" in seen.index else math.nan
        return 25.0 if math.isnan(value) else value

    # --- the carriers' own course ----------------------------------------------------------------

    def _carry_on(
        self, inside: Inside, places: tuple[int, ...], elapsed_s: float, ambient: float
    ) -> None:
        """Run the law over the time since the last observation, each carrier at its new place."""
        # A part that is no longer there left at the beginning of the interval: it stays as it was.
        there = [(n, part) for n, part in enumerate(places) if part in inside.parts]
        if not there:
            return
        at = np.array([n for n, _ in there])
        moved = inside.places.index(there[0][1]) != there[0][0]
        air = self._air(inside, ambient, inside.phase - 1.0 if moved else inside.phase)[at]
        mass = np.array([inside.mass_kg[part] for _, part in there])
        hA = LAWS["heat_transfer_kw_per_k"](inside.fan_rel, self._p) * math.exp(inside.ln_f)
        x = np.array([inside.parts[part] for _, part in there])
        self._heat(x, air, mass, hA, elapsed_s)
        for row, (_, part) in enumerate(there):
            inside.parts[part] = x[row]

    def _heat(
        self,
        x: NDArray[np.float64],
        air: NDArray[np.float64],
        mass: NDArray[np.float64],
        hA: float,
        elapsed_s: float,
    ) -> None:
        """The law over some time in still air, for all rows of ``x`` and their second copies."""
        p, cure_rate = self._p, LAWS["cure_rate"]
        steps = max(1, math.ceil(elapsed_s / LONGEST_S))
        dt = elapsed_s / steps
        for column, factor in ((0, 1.0), (2, math.exp(STEP))):
            keep = np.exp(-0.5 * dt * hA * factor / (mass * p[oven.P.steel_heat_kj_per_kg_k]))
            T, cure = x[:, column], x[:, column + 1]
            for _ in range(steps):
                middle = air + (T - air) * keep
                after = air + (middle - air) * keep
                rate = cure_rate(T, p) + 4.0 * cure_rate(middle, p) + cure_rate(after, p)
                T, cure = after, cure + rate * dt / 360.0
            x[:, column], x[:, column + 1] = T, cure

    def _pass(self, inside: Inside, part: int, place: int, ambient: float, twin: LineState) -> None:
        """What a part that was found inside is like if it came here through air as it is now."""
        hA = LAWS["heat_transfer_kw_per_k"](inside.fan_rel, self._p) * math.exp(inside.ln_f)
        a_place_s = 60.0 * self._p[oven.P.pitch_m] / twin.floats[self._speed_f]
        x, mass = inside.parts[part][np.newaxis], np.array([inside.mass_kg[part]])
        for at in range(place + 1):
            share = 1.0 if at < place else min(inside.phase, 1.0)
            for n in range(PARTS_OF_A_PLACE):
                air = self._air(inside, ambient, share * (n + 0.5) / PARTS_OF_A_PLACE)[[at]]
                self._heat(x, air, mass, hA, share * a_place_s / PARTS_OF_A_PLACE)

    def _air(self, inside: Inside, ambient: float, phase: float) -> NDArray[np.float64]:
        """Temperature around each place; the first and last of a zone reach into the next."""
        per_zone = self._places // self._zones
        zone = np.repeat(inside.zone_c, per_zone)
        beside = np.concatenate([[ambient], inside.zone_c, [ambient]])
        at = np.arange(self._places)
        ahead = np.where((at + 1) % per_zone == 0, max(0.0, min(phase, 1.0) - 0.5), 0.0)
        behind = np.where(at % per_zone == 0, max(0.0, 0.5 - phase), 0.0)
        own = at // per_zone
        return np.asarray(zone + ahead * (beside[own + 2] - zone) + behind * (beside[own] - zone))

    def _admit(
        self, inside: Inside, places: tuple[int, ...], twin: LineState, ambient: float
    ) -> None:
        """Forget who left; who is new starts cold at the entry, or has passed as the air is now."""
        f, i, k = twin.floats, twin.ints, self._k
        kept: dict[int, NDArray[np.float64]] = {}
        for place, part in enumerate(places):
            if not part:
                continue
            if part not in inside.parts:
                slot = i[self._places_i + place]
                mass = f[k[s.K_PART_F] + slot * s.P_FLOATS + s.PRODUCT] if slot >= 0 else 0.0
                inside.mass_kg[part] = mass if mass > 0.5 else 60.0
                inside.parts[part] = np.array([ambient, 0.0, ambient, 0.0])
                if math.isnan(inside.time_s):  # found inside at the start
                    self._pass(inside, part, place, ambient, twin)
            kept[part] = inside.parts[part]
        inside.parts = kept
        inside.mass_kg = {part: inside.mass_kg[part] for part in kept}

    # --- what is learned -------------------------------------------------------------------------

    def _learn(self, inside: Inside, seen: Observation) -> None:
        """A part has left: its measured cure against the one expected."""
        measured = seen[f"{self.name}.exit_cured_min"]
        left = inside.places[-1] if inside.places else 0
        if int(seen[f"{self.name}.op_count"]) != inside.ops + 1 or left not in inside.parts:
            return  # none, or more than one: whose measurement it is cannot be told
        if math.isnan(measured):
            return
        _, cure, _, cure_more = inside.parts[left]
        c = np.array([(cure_more - cure) / STEP, 1.0])
        P = inside.variance + np.diag(WALK * WALK)
        variance = float(c @ P @ c) + self._noise_min**2
        error = measured - cure - inside.offset_min
        inside.innovation = error / math.sqrt(variance)
        inside.measured += 1
        if abs(inside.innovation) > 5.0:
            inside.variance = P  # not to be believed at once; if it stays, the variance grows
            return
        gain = P @ c / variance
        before = inside.ln_f
        inside.ln_f = min(max(before + float(gain[0]) * error, -0.4), 0.4)
        inside.offset_min += float(gain[1]) * error
        for part, x in inside.parts.items():
            # Those still inside have come this far with the old factor: they are moved as well.
            moved = np.tile((x[2:] - x[:2]) / STEP, 2) * (inside.ln_f - before)
            inside.parts[part] = x + moved
        inside.variance = P - np.outer(gain, c @ P)

    def _gas(
        self,
        inside: Inside,
        seen: Observation,
        twin: LineState,
        zone_c: NDArray[np.float64],
        ambient: float,
        offsets: dict[str, Offset],
    ) -> None:
        """Metered gas against the balance of the nominal model, over some minutes at a time."""
        p = self._p
        now_s, meter = seen.time_us / 1e6, seen[f"{self.name}.gas_kwh"]
        stored = p[oven.P.zone_heat_capacity_kj_per_k] * float(zone_c.sum()) / 3600.0
        began_s, gas_kwh, stored_kwh = inside.gas_from
        last_kwh, inside.gas_kwh = inside.gas_kwh, meter
        if not meter >= last_kwh:  # one of the two is unknown, or the meter counts from zero again
            inside.gas_from, inside.heat_kwh = (now_s, meter, stored), 0.0
            return
        inside.heat_kwh += self._loss_kw(inside, twin, ambient) * (now_s - inside.time_s) / 3600.0
        if now_s - began_s < GAS_EVERY_S:
            return
        came_kwh = stored - stored_kwh
        modelled = (inside.heat_kwh + came_kwh) / p[oven.P.burner_efficiency]
        if modelled > 2.0:
            offset = offsets.setdefault(f"{self.name}.gas_kwh", Offset(1.0, 0.04))
            # Losses are off by a factor, heat that the zones took or gave back is not: the more of it, the less is told.
            strange = LOSSES_SD * came_kwh / (inside.heat_kwh + came_kwh)
            offset.update((meter - gas_kwh) / modelled, 0.01, math.hypot(GAS_SD, strange))
        inside.gas_from, inside.heat_kwh = (now_s, meter, stored), 0.0

    def _loss_kw(self, inside: Inside, twin: LineState, ambient: float) -> float:
        """Heat that leaves the zones by walls, exhaust, openings and carriers, less that of the fans, by the model."""
        p = self._p
        asleep = twin.floats[self._setback_f] > 0.5 or (
            twin.ints[self._e * s.E_INTS + s.STATE] == s.STANDBY
        )
        flow = p[oven.P.exhaust_minimum_nm3_per_h] if asleep else p[oven.P.exhaust_nm3_per_h]
        above = inside.zone_c - ambient
        loss = LAWS["zone_loss_kw_per_k"](flow, p) * float(above.sum())
        loss += LAWS["opening_loss_kw_per_k"](p) * float(above[0] + above[-1])
        fan_rel = inside.fan_rel
        if asleep:
            fan_rel = min(fan_rel, p[oven.P.fan_floor] ** (1.0 / 3.0))
        loss -= p[oven.P.fan_heat_share] * LAWS["circulation_kw"](fan_rel, p)
        hA = LAWS["heat_transfer_kw_per_k"](fan_rel, p) * math.exp(inside.ln_f)
        air = self._air(inside, ambient, inside.phase)
        for place, part in enumerate(inside.places):
            if part in inside.parts:
                hanger = LAWS["hanger_factor"](inside.mass_kg[part], p)
                loss += hA * hanger * (air[place] - inside.parts[part][0])
        return float(loss)

    def _tell(self, inside: Inside, twin: LineState, offsets: dict[str, Offset]) -> None:
        """The twin gets the estimated parts, the controller the estimated disturbances."""
        f = twin.floats
        for place, part in enumerate(inside.places):
            if part:
                f[self._x_f + self._part_x + place] = float(inside.parts[part][0])
                f[self._x_f + self._cured_x + place] = float(inside.parts[part][1])
        P, last, times = inside.variance, inside.innovation, inside.measured
        factor = math.exp(inside.ln_f)
        offsets[f"{self.name}.heat_transfer"] = Offset(factor, P[0, 0] * factor**2, last, times)
        offsets[f"{self.name}.exit_cured_min"] = Offset(inside.offset_min, P[1, 1], last, times)


def conveyors(line: Line) -> Mapping[str, CarrierEstimator]:
    """The estimators of all ovens of a line: conveyors whose model is the shipped one."""
    found = {}
    for n, element in enumerate(line.stations):
        if element.kind == s.CONVEYOR and element.process.module is oven:
            found[element.name] = CarrierEstimator(line, n + 1)
    return found
