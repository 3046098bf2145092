"""The snippets of the pages on line elements are what plant files and packages hold."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from tests.docs.pages import DOCS, REPOSITORY, blocks_of
from twin.config.plant import Plant, Spec, StationSpec

PAGE = DOCS / "how-to" / "line-elements.md"
SNIPPETS = [block for block in blocks_of(PAGE) if block.language == "yaml"]


def check(spec: type[Spec], key: str, value: Any) -> None:
    """The value is one that the key takes; of ``source`` and ``demand`` a part is shown."""
    field = spec.model_fields[key]
    kind = field.annotation
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, Spec):
        needed = {name for name, sub in kind.model_fields.items() if sub.is_required()}
        if not needed <= value.keys():
            for inner, part in value.items():
                check(kind, inner, part)
            return
    TypeAdapter(field.rebuild_annotation()).validate_python(value)


@pytest.mark.parametrize("n", range(len(SNIPPETS)))
def test_each_snippet_fits_a_plant_file(n: int) -> None:
    snippet = yaml.safe_load(SNIPPETS[n].text)
    assert snippet
    for key, value in snippet.items():
        spec = StationSpec if key in StationSpec.model_fields else Plant
        check(spec, key, _tuples(value))


def _tuples(value: Any) -> Any:
    """Lists as the loader hands them on."""
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value


def test_every_element_has_its_place_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    of_stations = ("servers", "also_takes", "also_gives", "batch", "setup", "picks", "inspection")
    for key in (
        *of_stations,
        "needs",
        "uses",
        "wake_at_parts",
        "service",
        "transit_s",
        "wip_limit",
    ):
        assert key in StationSpec.model_fields or key in ("transit_s", "wip_limit")
        assert f"{key}:" in text


def test_the_element_on_its_page_is_the_one_that_is_tested() -> None:
    page = DOCS / "how-to" / "your-own-element.md"
    shown = next(block for block in blocks_of(page) if block.word == "file=lift.py")
    tested = REPOSITORY / "tests" / "twin" / "line" / "lift.py"
    assert shown.text.strip() == tested.read_text("utf-8").strip()
