"""A twin that comes to a running line, looks ahead, and keeps book."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests.twin.analyze.in_step import PLANTS, nominal, observed, plant_of, true
from tests.twin.line.small_lines import changed
from twin.analyze.in_step import out_of_step
from twin.attachment import Attachment
from twin.cycle import Reading
from twin.equipment.plc import Plc
from twin.kernels import draws
from twin.line import schema as s
from twin.line.model import Line, build_line
from twin.line.scenario import build_table
from twin.signals import Quality
from twin.state import LineState

FROM_S = 5003.7
"""In the middle of cycles."""


def plc_of(line: Line, seed: int = 6) -> Plc:
    table = build_table(line.plant, seed, draws.PLANT, 8.0)
    return Plc(line, table, seed, line.plant.scenarios["nominal"])


def readings(plc: Plc, period_s: float, number: int) -> Iterator[Reading]:
    for n in range(number):
        plc.advance(round((FROM_S + n * period_s) * 1e6))
        yield plc.reading()


def attached(name: str, minutes: float = 15.0) -> tuple[Attachment, Plc]:
    """A twin of the nominal line that has listened to the true one."""
    plc, period_s = plc_of(true(name)), plant_of(name).control.period_s
    twin = Attachment.to(nominal(name), 7)
    for reading in readings(plc, period_s, int(minutes * 60.0 / period_s) + 1):
        assert twin.follow(reading)
    return twin, plc


def masses(line: Line, state: LineState) -> dict[int, float]:
    """The product of each part in the line, by its number."""
    i, k = state.ints, line.k
    parts = [i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID] for slot in range(k[s.K_SLOTS])]
    at = [k[s.K_PART_F] + slot * s.P_FLOATS + s.PRODUCT for slot in range(k[s.K_SLOTS])]
    return {part: state.floats[place] for part, place in zip(parts, at, strict=True) if part}


@pytest.mark.parametrize("name", PLANTS)
def test_it_is_in_step_but_for_what_the_model_gets_wrong(name: str) -> None:
    twin, _ = attached(name, minutes=1.0)
    assert all(name.endswith((".power_kw", ".elapsed_work_s")) for name in twin.out_of_step())
    assert twin.missed == {}


def test_an_outlook_is_settled_when_its_time_has_come() -> None:
    twin, plc = attached("machining_line")
    begun = plc.reading()
    index = {signal.name: n for n, signal in enumerate(plc.signals)}
    outlook = twin.look_ahead(1200.0, worlds=50)
    assert twin.waits
    plc.advance(round((outlook.until_s - 10.0) * 1e6))
    twin.follow(plc.reading())
    assert twin.waits
    plc.advance(round(outlook.until_s * 1e6))
    ended = plc.reading()
    plc.advance(round((outlook.until_s + 10.0) * 1e6))
    twin.follow(plc.reading())
    assert not twin.waits
    (fared,) = twin.fared
    grown = ended.values - begun.values
    assert fared.actual["energy_kwh"] == pytest.approx(grown[index["line.energy_kwh"]], abs=0.05)
    assert abs(fared.actual["good_parts"] - grown[index["line.good_count"]]) <= 1.0
    lower, upper = outlook.interval("energy_kwh")
    assert lower < fared.actual["energy_kwh"] < upper


def test_the_same_readings_give_the_same_outlook() -> None:
    found = [attached("molding_cell", minutes=5.0)[0].look_ahead(1800.0, worlds=30) for _ in "ab"]
    for figure, courses in found[0].courses.items():
        assert courses.tobytes() == found[1].courses[figure].tobytes()


def test_what_an_oven_holds_is_found_by_the_law_of_the_way_there() -> None:
    line = nominal("paint_cure_line")  # no mismatch: what is left is what was not seen
    plc, twin = plc_of(line), Attachment.to(line, 7)
    plc.advance(round(FROM_S * 1e6))
    assert twin.follow(plc.reading())
    oven = next(e for e, x in enumerate(line.elements) if x.kind == s.CONVEYOR)
    at = line.k[s.ELEMENTS_K + oven * s.EK + s.X_F]
    model = line.elements[oven].model
    assert model is not None
    names = [q.name for q in model.states]
    own, theirs = twin.loop.memory.twin.floats, plc.state.floats
    inside = twin.loop.tags.part_ids(plc.state)[line.elements[oven].name]
    # What they are is not told: they are taken for what enters now, and here most of them are that.
    alike = [
        masses(line, twin.loop.memory.twin)[p] == masses(line, plc.state)[p] for p in inside if p
    ]
    assert sum(alike) >= 10
    for place, part in enumerate(inside, start=1):
        if part and masses(line, twin.loop.memory.twin)[part] == masses(line, plc.state)[part]:
            for name, allowed in ((f"carrier_{place}_c", 4.0), (f"carrier_{place}_cured_min", 0.5)):
                n = at + names.index(name)
                assert own[n] == pytest.approx(theirs[n], abs=allowed), name


def test_nobody_looks_ahead_from_what_cannot_be_seen() -> None:
    twin = Attachment.to(nominal("machining_line"), 7)
    with pytest.raises(ValueError, match="cannot be seen"):
        twin.look_ahead(3600.0)
    reading = next(readings(plc_of(true("machining_line")), 30.0, 1))
    index = [n for n, signal in enumerate(twin.loop.signals) if signal.name == "milling.state"]
    reading.values[index] = np.nan
    reading.status[index] = int(Quality.BAD)
    assert not twin.follow(reading)
    assert twin.unread == ("milling.state",)
    with pytest.raises(ValueError, match="cannot be seen"):
        twin.look_ahead(3600.0)


def test_each_look_has_luck_of_its_own() -> None:
    twin, plc = attached("molding_cell", minutes=5.0)
    first = twin.look_ahead(1800.0, worlds=30)
    plc.advance(plc.now_us + 1_000_000)
    assert twin.follow(plc.reading())
    second = twin.look_ahead(1800.0, worlds=30)
    assert not np.array_equal(first.courses["good_parts"], second.courses["good_parts"])


def test_a_line_whose_time_stands_still_tells_nothing_new() -> None:
    twin, plc = attached("machining_line", minutes=1.0)
    assert not twin.follow(plc.reading())
    turns = twin.loop.memory.turns
    assert not twin.follow(plc.reading())
    assert twin.loop.memory.turns == turns


def test_nobody_scores_what_nobody_saw_the_end_of() -> None:
    twin, plc = attached("machining_line", minutes=1.0)
    twin.look_ahead(600.0, worlds=20)
    plc.advance(plc.now_us + 1_800_000_000)  # half an hour without a reading
    twin.follow(plc.reading())
    assert not twin.waits
    assert twin.fared == []


def test_an_unknown_meter_is_not_zero() -> None:
    twin, plc = attached("machining_line", minutes=1.0)
    plc.advance(plc.now_us + 600_000_000)
    reading = plc.reading()
    index = [n for n, signal in enumerate(twin.loop.signals) if signal.name == "line.gas_kwh"]
    reading.values[index], reading.status[index] = np.nan, int(Quality.BAD)
    assert not twin.follow(reading)
    assert twin.unread == ("line.gas_kwh",)
    with pytest.raises(ValueError, match="cannot be seen"):
        twin.look_ahead(600.0)


def test_a_line_with_people_belts_and_batches_is_followed_too() -> None:
    changes = {
        "crews": ({"name": "ann", "people": 1},),
        "stations.0.needs": {"repair": ("ann",), "tool_change": ("ann",)},
        "stations.1.batch": {"parts": 2},
        "buffers.1.transit_s": 20.0,
    }
    line = build_line(changed(plant_of("machining_line"), changes))
    plc, twin = plc_of(line), Attachment.to(line, 7)
    for reading in readings(plc, 30.0, 60):
        assert twin.follow(reading)
        assert all(name.endswith((".power_kw", ".elapsed_work_s")) for name in twin.out_of_step())
    outlook = twin.look_ahead(3600.0, worlds=50)
    begun = reading.values[twin.loop.tags.index["line.good_count"]]
    plc.advance(plc.now_us + 3_600_000_000)
    made = plc.reading().values[twin.loop.tags.index["line.good_count"]] - begun
    lo, hi = outlook.interval("good_parts")
    assert 0.0 < lo <= made <= hi


def test_parts_in_other_places_are_out_of_step() -> None:
    line = nominal("machining_line")
    plc, twin = plc_of(line), Attachment.to(line, 7)
    plc.advance(round(FROM_S * 1e6))
    assert twin.follow(plc.reading())
    name, parts = next((n, p) for n, p in twin.loop.tags.part_ids(plc.state).items() if len(p) > 1)
    seen = observed(line, plc.state)
    swapped = replace(seen, part_ids={**seen.part_ids, name: parts[::-1]})
    state = twin.loop.memory.twin
    assert f"{name}.part_ids" not in out_of_step(twin.loop.tags, state, seen)
    shown, same = out_of_step(twin.loop.tags, state, swapped)[f"{name}.part_ids"]
    assert (shown, same) == (len(parts), len(parts) % 2)
