"""A run as its folder holds it: what it was given, and everything that its report is made from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from twin.cli.problems import DAMAGED, Problem, damaged, nearest
from twin.cli.results import orders_note, uncompared
from twin.config import Plant, load_plant
from twin.cycle import Clip, Cycle, Event
from twin.feedback import Kpis, Ledger, evaluate
from twin.feedback.report import ClipAt, ModeSince, ReportData, Series, wanted_signals
from twin.line.model import Line, build_line
from twin.line.tags import line_signals
from twin.store.audit import Audit
from twin.store.closed import ClosedHistorian
from twin.store.quarantine import RESTORE, StoreError
from twin.store.run_folder import MANIFEST, RunFolder, is_as_written, open_run
from twin.store.segments import Segments
from twin.store.trends import Trace

POINTS = 4000
"""Samples of a course that a report draws at most."""
LIMITATIONS = (
    "An emulated line: its truth differs from the model, but people wrote both.",
    "One shift: differences between controllers have no interval and prove nothing.",
)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The folder of a run with its manifest and plant, as they were at its start."""

    folder: RunFolder
    plant: Plant
    manifest: Mapping[str, Any]

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What the run was given."""
        found: Mapping[str, Any] = self.manifest["arguments"]
        return found

    @property
    def controllers(self) -> tuple[str, ...]:
        """All that were to run, in order."""
        return tuple(self.arguments["controllers"])

    def of(self, controller: str) -> RunFolder:
        """The stores of one controller."""
        return RunFolder(self.folder.place(controller))

    @property
    def line(self) -> Line:
        """The nominal line of the run."""
        return build_line(self.plant, variant=self.arguments["variant"])


def run_of(given: str | None, root: Path) -> RunRecord:
    """A run by its name under ``root`` or by its folder; the newest under ``root`` for None.

    ``Problem`` for one that is damaged, and where there is none.
    """
    folder = RunFolder(folder_of(given, root))
    try:
        manifest: Any = folder.read_json(MANIFEST)
        plant = load_plant(str(folder.folder / "plant.yaml"))
        expected = manifest["plant_hash"]
        found = RunRecord(folder, plant, manifest)
        complete = bool(found.controllers) and {"variant", "tuned", "seed"} <= {*found.arguments}
        complete = complete and is_as_written(manifest)
    except (StoreError, KeyError, TypeError, ValueError) as error:
        msg = f"{folder.folder}: the record of the run is damaged: {error}"
        raise damaged(msg) from error
    if plant.config_hash != expected or not complete:
        msg = f"{folder.folder}: plant.yaml or manifest.json was changed after the run"
        raise damaged(msg)
    return found


def folder_of(given: str | None, root: Path) -> Path:
    """The folder of a run, by its name under ``root`` or its path; the newest for None."""
    path = _newest(root) if given is None else Path(given)
    if (path / MANIFEST).is_file():
        return path.resolve()
    try:
        return open_run(root, str(path)).folder
    except StoreError as error:
        held = sorted(one.parent.name for one in root.glob(f"[!.]*/{MANIFEST}"))
        hint = f"{nearest(str(path), held)}; or give --out, or the run's folder"
        msg = str(error).partition("; there are")[0]
        if path.is_dir():
            msg = f"the folder {path} is there, and holds no run: it has no manifest.json"
        raise Problem("usage", msg, hint) from error


def _newest(root: Path) -> Path:
    """The newest that has come to a controller: one whose line was never there holds nothing."""
    found = [path.parent for path in root.glob(f"*/{MANIFEST}")]
    found = [folder for folder in found if any(folder.glob("*/audit.sqlite"))] or found
    if not found:
        raise Problem("usage", f"there is no run in {root}", "give --out, or a run's folder")
    return max(found, key=lambda folder: ((folder / MANIFEST).stat().st_mtime_ns, folder))


@dataclass(frozen=True, slots=True, eq=False)
class Turns:
    """What the recorded turns of one controller come to."""

    kpis: Kpis
    events: tuple[Event, ...]
    clips: tuple[ClipAt, ...]
    modes: tuple[ModeSince, ...]
    statuses: Mapping[str, int]
    outcomes: Mapping[str, int]
    count: int
    from_us: int
    until_us: int
    doubt: str
    """What the audit cannot prove."""


def turns_of(record: RunRecord, controller: str) -> Turns:
    """Books, events, clips and modes of one controller, computed anew from its audit."""
    ledger = Ledger(record.plant, line_signals(record.line))
    events: list[Event] = []
    clips: list[ClipAt] = []
    modes: list[ModeSince] = []
    statuses: Counter[str] = Counter()
    count, from_us, until_us = 0, -1, 0
    with Audit(record.of(controller).audit, read_only=True) as audit:
        for text in recorded_cycles(audit, record, controller):
            try:
                reading, _, _ = Cycle.inputs_from_json(text)
                turn = json.loads(text)
                decision = turn["decision"]
                ledger.book(reading, turn.get("drift", {}))
            except (ValueError, KeyError, TypeError) as error:
                msg = f"{record.of(controller).audit}: turn {count + 1} is not whole: {error!r}"
                raise damaged(msg) from error
            events += reading.events
            time_s = decision["time_us"] / 1e6
            clips += [ClipAt(time_s, Clip(*clip)) for clip in decision["clips"]]
            if not modes or modes[-1].mode != decision["mode"]:
                modes.append(ModeSince(time_s, decision["mode"], tuple(decision["reasons"])))
            statuses[decision["status"]] += 1
            count, until_us = count + 1, reading.time_us
            from_us = until_us if from_us < 0 else from_us
        outcomes = Counter(conclusion.outcome for conclusion in audit.outcomes())
        doubt = audit.doubt
    kpis = evaluate(ledger)
    return Turns(
        kpis,
        tuple(events),
        tuple(clips),
        tuple(modes),
        statuses,
        outcomes,
        count,
        from_us,
        until_us,
        doubt,
    )


def recorded_cycles(audit: Audit, record: RunRecord, controller: str) -> Iterator[str]:
    """The turns of one controller in order; ``Problem`` where the audit has none."""
    texts = audit.cycles()
    first = next(texts, None)
    if first is None:
        msg = f"{record.of(controller).audit}: no turn of the loop is recorded"
        raise damaged(msg)
    yield first
    yield from texts


def courses_of(
    record: RunRecord, controller: str, until_us: int
) -> tuple[dict[str, Series], list[str]]:
    """The courses that a report draws, and what is wrong with the stores that they come from.

    A finished run has its samples twice, in closed segments and in the historian: both are looked
    at, and one may stand for the other. ``Problem`` where neither can be read.
    """
    folder = record.of(controller)
    names = wanted_signals(record.plant, line_signals(record.line))
    historian, segments = (
        partial(ClosedHistorian, folder.historian),
        partial(Segments, folder.segments),
    )
    finished = record.folder.place("kpi.json").is_file()
    traces: dict[str, Trace] | None = None
    newest_us, faults = 0, []
    for opened in (segments, historian) if finished else (historian, segments):
        try:
            with opened() as store:
                if traces is None:
                    traces = store.series(names, 0, until_us + 1, POINTS)
                    newest_us = store.newest_us or 0
        except StoreError as error:
            faults.append(error)
        if traces is not None and not finished:
            break
    told = [str(fault).replace(f"{record.folder.folder}/", "") for fault in faults]
    if traces is None:
        msg = f"{folder.folder}: no sample can be read; {'; '.join(told)}"
        hint = next((fault.hint for fault in faults if fault.hint), RESTORE)
        raise Problem("damaged", msg, hint, code=DAMAGED)
    doubts = [f"{text}. The courses come from the other record of the run." for text in told]
    if newest_us < until_us:
        hours = f"{newest_us / 3.6e9:.2f} h of {until_us / 3.6e9:.2f} h"
        doubts.append(f"{controller}: samples are recorded up to {hours}; the rest is missing.")
    return {name: (trace.time_us / 1e6, trace.value) for name, trace in traces.items()}, doubts


def report_data(record: RunRecord, finished: Sequence[str]) -> ReportData:
    """Everything for the report; the first of the finished controllers is its subject."""
    turns = {name: turns_of(record, name) for name in finished}
    first, *others = finished
    own = turns[first]
    arguments = record.arguments
    facts = ("seed", "scenario", "utilisation", "variant")
    doubts = [arguments["doubt"]] if arguments.get("doubt") else []
    doubts += [
        f"{name} was stopped at {found.until_us / 3.6e9:.2f} h of {arguments['hours']:g} h."
        for name, found in turns.items()
        if arguments.get("hours") and found.until_us < round(arguments["hours"] * 3.6e9)
    ]
    doubts += [f"{found.doubt}." for found in turns.values() if found.doubt]
    doubts += _results_fault(record.folder)
    courses: dict[str, dict[str, Series]] = {}
    for name, found in turns.items():
        courses[name], faults = courses_of(record, name, found.until_us)
        doubts += faults
    hours = (own.until_us - own.from_us) / 3.6e9
    note = orders_note(record.plant, hours)
    if note and arguments.get("equipment") in ("emulate", "in-process"):
        doubts.append(note)
    doubts += uncompared({name: found.kpis for name, found in turns.items()})
    return ReportData(
        plant=record.plant,
        signals=line_signals(record.line),
        controller=first,
        kpis={name: (found.kpis,) for name, found in turns.items()},
        series=courses[first],
        baseline_series={name: courses[name] for name in others},
        events=own.events,
        facts={name: str(arguments[name]) for name in facts if arguments[name] is not None},
        versions=dict(record.manifest["versions"]),
        hashes={"plant": record.plant.config_hash},
        clips=own.clips,
        modes=own.modes,
        decisions=own.count,
        statuses=own.statuses,
        outcomes=own.outcomes,
        limitations=(*doubts, *LIMITATIONS),
    )


def _results_fault(folder: RunFolder) -> list[str]:
    """What is wrong with the results as the run has written them; a report does without."""
    if not folder.place("kpi.json").is_file():
        return []
    try:
        folder.read_json("kpi.json")
    except StoreError as fault:
        text = str(fault).replace(f"{folder.folder}/", "")
        return [f"{text}. The figures are computed anew from the audit."]
    return []


def recorded_controllers(record: RunRecord) -> tuple[str, ...]:
    """Those of which there is a record: an interrupted run has not come to all.

    ``Problem`` if there are none.
    """
    folder = record.folder
    found = tuple(name for name in record.controllers if record.of(name).audit.is_file())
    if not folder.place("kpi.json").is_file():
        begun = tuple(name for name in found if _has_turns(record.of(name).audit))
        if not begun:
            msg = f"{folder.folder}: this run never came to its first turn"
            raise Problem("usage", msg, "there is nothing to read; name another run")
        return begun
    if not found:
        raise damaged(f"{folder.folder}: holds no audit")
    return found


def _has_turns(path: Path) -> bool:
    with Audit(path, read_only=True) as audit:
        return next(audit.cycles(), None) is not None
