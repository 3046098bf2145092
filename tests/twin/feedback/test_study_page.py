from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from benchmarks.anchor_lines import Machine
from tests.twin.feedback.study.shifts import course_of
from twin.feedback.report import render_study
from twin.feedback.study import Precision, Study, warm_up_of

MACHINES = [Machine(20.0), Machine(28.0), Machine(20.0)]


def study(shifts: int, *, warms_up: bool = True) -> Study:
    pilot = [course_of(MACHINES, [2, 2], 120, seed) for seed in range(90, 94)]
    warm_up = warm_up_of(pilot) if warms_up else None
    found = Study(pilot[0].line.plant, warm_up, Precision(0.05, ("good_parts",)))
    for seed in range(shifts):
        found.book(course_of(MACHINES, [2, 2], 240, seed))
    return found


def page(of: Study) -> str:
    return render_study(of, {"seed": "0"}, {"takttwin": "0"}, {"plant": "abc"})


def test_the_page_has_all_pictures_and_asks_for_nothing_from_outside() -> None:
    text = page(study(4))
    pictures = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    labels = {ET.fromstring(picture).get("aria-label") for picture in pictures}  # noqa: S314
    assert len(labels) == len(pictures) == 5
    assert re.search(r"(src|href)\s*=\s*[\"'](?!#)", text) is None
    found = re.findall(r'\bid="([^"]+)"', text)
    assert len(found) == len(set(found))
    assert text == page(study(4))


def test_the_page_says_what_limits_the_line_and_how_sure_that_is() -> None:
    text = re.sub(r"<[^>]+>", " ", page(study(4)))
    assert "Bottleneck: m1 in" in text
    assert "The lead is more than chance." in text
    assert "NOT reached in 4 shifts: 5 % of the mean was asked for good parts" in text
    assert "By MSER-5" in text


def test_one_shift_is_called_what_it_is() -> None:
    text = re.sub(r"<[^>]+>", " ", page(study(1, warms_up=False)))
    assert "One shift has no interval" in text
    assert "do not show which of the two" in text
    assert "No warm-up was left out" in text


def test_a_study_without_a_shift_has_no_page() -> None:
    with pytest.raises(ValueError, match="without a shift"):
        page(study(0))
