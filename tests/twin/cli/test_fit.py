"""The tables of an evaluation on screens of several widths."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.twin.feedback.test_evaluation import EPISODES
from twin.cli import evaluate
from twin.cli.fit import fitting
from twin.feedback.evaluation import rows_of
from twin.feedback.report.evaluation import columns_of

KWH = ("0.4812 ± 0.0123", "0.5213 ± 0.0148", "0.6418 ± 0.0212")
AGAINST = ("−8.53 % [−10.25, −6.81] inconclusive", "–", "+23.1 % [+19.4, +26.8] worse")
COLUMNS = {
    "controller": ("residual:11", "fixed", "full_pace"),
    "kWh a good part": KWH,
    "against fixed": AGAINST,
    "good parts": ("412.5 ± 12.5", "409.1 ± 11.9", "433.3 ± 10.2"),
    "scrap": ("0.0193 ± 0.0012", "0.0184 ± 0.0013", "0.0291 ± 0.0017"),
    "EUR a good part": ("0.345 ± 0.012", "0.351 ± 0.011", "0.402 ± 0.014"),
    "of the ceiling": ("–", "–", "–"),
    "against always_on": ("−31.2 % [−34.0, −28.4] better", "−25.1 % [−27.9, −22.3] better", "–"),
}


def shown(width: int) -> list[str]:
    screen = Console(file=StringIO(), width=width)
    for table in fitting(screen, "nominal: 30 shifts", COLUMNS):
        screen.print(table)
    assert isinstance(screen.file, StringIO)
    return screen.file.getvalue().splitlines()


@pytest.mark.parametrize(("width", "tables"), [(80, 3), (100, 2), (120, 2), (250, 1), (30, 5)])
def test_no_figure_interval_or_verdict_is_cut_at_any_width(width: int, tables: int) -> None:
    lines = shown(width)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= max(width, 55)  # a name and the longest difference
    assert "…" not in text
    for name, texts in COLUMNS.items():
        if name == "of the ceiling":
            continue
        for controller, cell in zip(COLUMNS["controller"], texts, strict=True):
            assert any(controller in line and cell in line for line in lines), (cell, text)
    for word in " ".join(COLUMNS).split():
        assert (word in text) == (word not in {"of", "the", "ceiling"}), word
    assert text.count("residual:11") == tables
    assert text.count("30 shifts") == 1


@pytest.mark.parametrize("width", [80, 100])
def test_an_evaluation_shows_differences_whole(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("twin.cli.options.console", lambda: Console(width=width))
    report = {"rows": rows_of(EPISODES), "doubts": []}
    evaluate._show(report, Path("trials"))
    out, err = capsys.readouterr()
    assert "…" not in out
    columns = columns_of(report, in_short=True)
    for row in report["rows"]:
        assert all(columns[name](row) in out for name in ("against fixed", "EUR a good part"))
    assert f"report, with all columns: {Path('trials', 'report.html')}" in err
