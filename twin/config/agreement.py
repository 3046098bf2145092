"""What no single key of a plant file can know: whether the keys agree with each other.

Names must exist, parts must find their way, and a number must fit the number that bounds it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from twin.config.errors import KeyPath, PlantError
from twin.config.routing import check_names, check_routing, known

if TYPE_CHECKING:
    from twin.config.plant import Plant


def check_agreement(plant: Plant) -> None:
    """Raise ``PlantError`` for the first thing that does not fit, with the way to its key."""
    check_names(plant)
    check_routing(plant)
    _check_rhythm(plant)
    _check_demand(plant)
    _check_tariffs(plant)
    _check_disturbances(plant)
    _check_sensors(plant)
    for n, station in enumerate(plant.stations):
        for name in station.uses:
            at_use: KeyPath = ("stations", plant.row(n), "uses", name)
            known(name, plant.utilities, at_use, "utility")
    if "nominal" not in plant.variants or "nominal" not in plant.scenarios:
        section = "variants" if "nominal" not in plant.variants else "scenarios"
        hint = "add nominal: {title: as described}"
        raise PlantError((section,), f"{section} must hold one named nominal", hint)
    for name, scenario in plant.scenarios.items():
        for disturbance in scenario.shift:
            at: KeyPath = ("scenarios", name, "shift", disturbance)
            known(disturbance, plant.disturbances, at, "disturbance")
        if scenario.tariff is not None:
            tariffs = plant.energy.tariffs_eur_per_mwh
            known(scenario.tariff, tariffs, ("scenarios", name, "tariff"), "tariff")


def _check_rhythm(plant: Plant) -> None:
    """Plans fall on turns of the loop, and a batch is dead before the next one is decided."""
    control = plant.control
    turns = control.line_period_s / control.period_s
    if turns < 1.0 or abs(turns - round(turns)) > 1e-9:
        message = (
            f"line_period_s = {control.line_period_s:g} must be a whole number of periods "
            f"(period_s = {control.period_s:g})"
        )
        hint = f"{max(round(turns), 1) * control.period_s:g} would be one"
        raise PlantError(("control", "line_period_s"), message, hint)
    if control.deadline_s > control.period_s:
        message = (
            f"deadline_s = {control.deadline_s:g} is longer than a turn of the loop "
            f"(period_s = {control.period_s:g})"
        )
        hint = f"at most {control.period_s:g}: then the next batch is decided on newer readings"
        raise PlantError(("control", "deadline_s"), message, hint)


def _check_demand(plant: Plant) -> None:
    """A line makes no more parts than blanks can enter it."""
    fastest_s = plant.source.takt_s.validity[0]
    sustained = float(plant.demand.capacity_good_parts_per_h)
    if fastest_s * sustained > 3600.0:
        message = f"{sustained:g} good parts per hour are more than blanks can enter the line"
        hint = (
            f"at most {3600.0 / fastest_s:g}: the validity of takt_s begins at {fastest_s:g} s; "
            "measure the capacity by twin simulate --saturated"
        )
        raise PlantError(("demand", "capacity_good_parts_per_h"), message, hint)


def _check_tariffs(plant: Plant) -> None:
    tariffs = plant.energy.tariffs_eur_per_mwh
    for name, prices in tariffs.items():
        if len(prices) != 24:
            raise PlantError(
                ("energy", "tariffs_eur_per_mwh", name),
                f"a tariff has 24 hourly prices, this one {len(prices)}",
                "give one price for each hour of the day, from midnight on",
            )
    known(plant.energy.tariff, tariffs, ("energy", "tariff"), "tariff")


def _check_disturbances(plant: Plant) -> None:
    """What a disturbance is on average, or by choice, must be what can be true."""
    for name, disturbance in plant.disturbances.items():
        low, high = disturbance.validity
        for key, numbers in (("mean", disturbance.mean.numbers), ("choices", disturbance.choices)):
            outside = [number for number in numbers if not low <= number <= high]
            if outside:
                message = f"{key} of {name!r} reaches {outside[0]:g}, outside its validity"
                hint = f"validity is [{low:g}, {high:g}]: correct the one or the other"
                raise PlantError(("disturbances", name, key), message, hint)


def _check_sensors(plant: Plant) -> None:
    """A value can be in its band, and is known before the shift is over."""
    for n, station in enumerate(plant.stations):
        for name, sensor in station.sensors.items():
            at: KeyPath = ("stations", plant.row(n), "sensors", name)
            low, high = sensor.validity or (-math.inf, math.inf)
            if sensor.band is not None and sensor.band[0] >= sensor.band[1]:
                message = f"band of {name!r} has no width"
                raise PlantError((*at, "band"), message, "give two ends, the lower one first")
            if sensor.band is not None and not low <= sensor.band[0] <= sensor.band[1] <= high:
                message = f"band of {name!r} reaches outside its validity"
                hint = f"validity is [{low:g}, {high:g}]: correct the one or the other"
                raise PlantError((*at, "band"), message, hint)
            if sensor.delay_s >= plant.shift_h * 3600.0:
                message = f"{name!r} would be known {sensor.delay_s:g} s late, after the shift"
                raise PlantError((*at, "delay_s"), message, "give seconds, within the shift")
