"""A campaign: cases in their order, each in a folder of its own, and the score of all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from statistics import mean
from typing import Any

from twin.chaos.case import Case
from twin.chaos.evidence import gather
from twin.chaos.oracles import Counts, judged
from twin.chaos.processes import NotStarted
from twin.chaos.rig import Ask, Missed, Rig, now_s
from twin.line.model import build_line
from twin.line.tags import line_signals

PLANT = "paint_cure_line"
"""The shipped line with critical inputs that are measured, and the shortest period."""


class Verdict(StrEnum):
    """How a case came out."""

    SURVIVED = "survived"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """One case: its verdict, why by oracle, and what it adds to the score."""

    case: Case
    verdict: Verdict
    why: Mapping[str, Sequence[str]] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    took_s: float = 0.0
    memory_kb: tuple[int, int] = (0, 0)
    """Of the loop's process before the faults and after them."""

    @property
    def in_words(self) -> str:
        """Why, as one text; empty for a case that was survived."""
        return "; ".join(f"{name}: {text}" for name, texts in self.why.items() for text in texts)

    def record(self) -> dict[str, Any]:
        """As plain data."""
        counts = self.counts
        return {
            "case": self.case.number,
            "group": self.case.group,
            "title": self.case.title,
            "injected": self.case.injected,
            "verdict": str(self.verdict),
            "why": {name: list(texts) for name, texts in self.why.items()},
            "writes": counts.writes,
            "out_of_range": counts.out_of_range,
            "unlogged": counts.unlogged,
            "samples_lost": counts.lost,
            "to_shed_s": _rounded(counts.shed_s),
            "to_recover_s": _rounded(counts.recover_s),
            "memory_kb": list(self.memory_kb),
            "took_s": round(self.took_s, 1),
        }


async def play(case: Case, folder: Path, ask: Ask, seed: int) -> Result:
    """Play one case and judge it."""
    if missing := case.needs():
        return Result(case, Verdict.SKIPPED, {"needs": [missing]})
    began_s = now_s()
    if case.alone is not None:
        found = await asyncio.to_thread(case.alone, folder, seed)
        why: Mapping[str, Sequence[str]] = {"O1": found} if found else {}
        verdict = Verdict.FAILED if found else Verdict.SURVIVED
        return Result(case, verdict, why, took_s=now_s() - began_s)
    assert case.play is not None
    rig = Rig(folder, PLANT, case.speed, ask, seed, is_open=case.is_open)
    try:
        async with rig:
            try:
                await case.play(rig)
            except Missed as missed:
                rig.story.notes.append(str(missed))
    except NotStarted as error:
        why = {"rig": [str(error)]}
        return Result(case, Verdict.FAILED, why, took_s=now_s() - began_s)
    signals = line_signals(build_line(rig.plant))
    evidence = gather(folder, signals, rig.plant.control, rig.speed, rig.story)
    findings, counts = judged(case, evidence)
    why = {name: _few(texts) for name, texts in findings.items() if texts}
    verdict = Verdict.FAILED if why else Verdict.SURVIVED
    held = tuple(0 if one is None else one.memory_kb for one in (rig.story.before, rig.story.after))
    return Result(case, verdict, why, counts, now_s() - began_s, (held[0], held[1]))


@dataclass(frozen=True, slots=True)
class Score:
    """What a campaign comes to. Times are means over the cases that had them, None without any."""

    survived: int
    played: int
    skipped: int
    lost: int
    writes: int
    out_of_range: int
    unlogged: int
    shed_s: float | None
    recover_s: float | None

    @classmethod
    def of(cls, results: Sequence[Result]) -> Score:
        """The sum of all."""
        verdicts = [one.verdict for one in results]
        skipped = verdicts.count(Verdict.SKIPPED)
        shed_s = [value for one in results for value in one.counts.shed_s]
        recover_s = [value for one in results for value in one.counts.recover_s]
        return cls(
            verdicts.count(Verdict.SURVIVED),
            len(results) - skipped,
            skipped,
            sum(one.counts.lost for one in results),
            sum(one.counts.writes for one in results),
            sum(one.counts.out_of_range for one in results),
            sum(one.counts.unlogged for one in results),
            mean(shed_s) if shed_s else None,
            mean(recover_s) if recover_s else None,
        )

    @property
    def line(self) -> str:
        """One line for whoever reads nothing else."""
        shed, recover = (
            "none" if value is None else f"{value:.1f} s" for value in (self.shed_s, self.recover_s)
        )
        skipped = f" ({self.skipped} skipped)" if self.skipped else ""
        return (
            f"faults survived {self.survived}/{self.played}{skipped}, samples lost {self.lost}, "
            f"writes out of range {self.out_of_range} of {self.writes}, "
            f"unlogged writes {self.unlogged}, mean time to shed {shed}, "
            f"mean time to recover {recover}"
        )

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "survived": self.survived,
            "played": self.played,
            "skipped": self.skipped,
            "samples_lost": self.lost,
            "writes": self.writes,
            "out_of_range": self.out_of_range,
            "unlogged": self.unlogged,
            "mean_to_shed_s": self.shed_s,
            "mean_to_recover_s": self.recover_s,
        }


def _few(texts: Sequence[str], most: int = 5) -> list[str]:
    rest = [f"and {len(texts) - most} more"] if len(texts) > most else []
    return [*texts[:most], *rest]


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 2) for value in values]
