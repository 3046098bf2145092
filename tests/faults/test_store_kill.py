"""SIGKILL and a full disk: what was acknowledged is there, what was written had its intent.

The writer is a process of its own that reports over a pipe; the test reads so many lines, kills it
by its number and looks at what it left.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.twin.store.records import SECOND_US, SIGNALS, UTC, decision
from twin.cycle import Acknowledgement, Outcome
from twin.store.audit import Audit
from twin.store.historian import Historian

ROOT = Path(__file__).parents[2]

START = """
import os, resource, signal, sys
from pathlib import Path
from tests.twin.store.records import SECOND_US, SIGNALS, UTC, accepted, cycle, decision, reading
from twin.cycle import Event
from twin.store.audit import Audit
from twin.store.columns import insert, sample_columns
from twin.store.historian import Historian
from twin.store.quarantine import StoreError

path = Path(sys.argv[1])

def say(*words):
    print(*words, flush=True)

def limit_files(size):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
"""

HISTORIAN = """
historian = Historian(path, SIGNALS, batch=3)
start = historian.acknowledged_us // SECOND_US + 1 if historian.acknowledged_us >= 0 else 1
for k in range(start, 10**9):
    event = Event(k * SECOND_US, "turning", 3, 4, k)
    say(historian.append(reading(k * SECOND_US, (float(k), 0.0, 1.0, 2.0), (event,)), 0))
"""

AUDIT = """
audit = Audit(path, batch=5)
for k in range(audit.last_sequence + 1, 10**9):
    audit.intend(decision(k, line__takt_s=60.0 + k), UTC)
    say(k)  # this is the write: it leaves now
    if k != audit_gap:
        audit.conclude(accepted(k), UTC)
    audit.record_cycle(cycle(k))
"""


def writer(program: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START + program, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def last_report(process: subprocess.Popen[str], lines: int) -> int:
    """Read so many reports, kill the writer, and give the last thing that it said."""
    assert process.stdout is not None
    said = [int(process.stdout.readline()) for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    # What was in the pipe at its death was said, too; a torn last line was not.
    said += [int(line) for line in process.stdout if line.endswith("\n")]
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    return said[-1]


def test_no_acknowledged_sample_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "h.duckdb"
    before = 0
    for lines in (3, 5, 17, 40, 100):  # one file, killed again and again
        acknowledged_us = last_report(writer(HISTORIAN, path), lines)
        with Historian(path, SIGNALS) as historian:
            assert historian.warning == ""
            assert historian.acknowledged_us >= max(acknowledged_us, before)
            before = historian.acknowledged_us
            for name in (SIGNALS[0].name, SIGNALS[3].name):
                times = historian.series([name], 0, before + 1)[name].time_us
                assert times.tolist() == list(range(SECOND_US, before + 1, SECOND_US))
            parts = historian._database().execute("select part from events order by 1").fetchall()
            assert parts == [(k,) for k in range(1, before // SECOND_US + 1)]
    assert before >= 100 * SECOND_US


def test_no_write_left_without_a_durable_intent(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    written = 0
    for lines in (1, 2, 9, 30, 60):
        program = f"audit_gap = 0\n{AUDIT}"
        written = last_report(writer(program, path), lines)
        with Audit(path) as audit:
            assert audit.warning == ""
            intents = [intent.sequence for intent in audit.intents()]
            assert intents == list(range(1, len(intents) + 1))
            assert intents[-1] >= written
            found = [finding.text for finding in audit.verify()]
            assert found == []
            # The restart concludes what the dead process could not.
            concluded = {one.sequence for one in audit.outcomes()}
            for sequence in set(intents) - concluded:
                assert sequence == intents[-1]
                unknown = Acknowledgement(sequence, Outcome.UNKNOWN, {}, "restart")
                audit.conclude(unknown, UTC)
    assert written > 60


def test_the_oracle_sees_a_missing_outcome(tmp_path: Path) -> None:
    """The check above can fail: a writer that forgets one outcome is found."""
    path = tmp_path / "audit.sqlite"
    last_report(writer(f"audit_gap = 2\n{AUDIT}", path), 6)
    with Audit(path) as audit:
        assert [finding.where for finding in audit.verify()] == ["intent 2"]


@pytest.mark.parametrize("point", ["after intent", "after outcome", "after append", "in a commit"])
def test_killed_by_itself_at_a_chosen_point(tmp_path: Path, point: str) -> None:
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    program = {
        "after intent": f"""
audit = Audit(path)
for k in (1, 2):
    audit.intend(decision(k, line__takt_s=60.0), UTC)
    if k == 2: {kill}
    audit.conclude(accepted(k), UTC)
""",
        "after outcome": f"""
audit = Audit(path)
for k in (1, 2):
    audit.intend(decision(k, line__takt_s=60.0), UTC)
    audit.conclude(accepted(k), UTC)
    audit.record_cycle(cycle(k))
{kill}
""",
        "after append": f"""
historian = Historian(path, SIGNALS, batch=2)
for k in (1, 2, 3):
    historian.append(reading(k * SECOND_US), 0)
{kill}
""",
        "in a commit": f"""
historian = Historian(path, SIGNALS, batch=2)
historian.append(reading(SECOND_US), 0)
historian.append(reading(2 * SECOND_US), 0)
historian._connection.execute("begin")
insert(historian._connection, "samples", sample_columns([reading(3 * SECOND_US)], [0]))
{kill}
""",
    }[point]
    process = writer(program, tmp_path / "store")
    assert process.stdout is not None
    assert process.stdout.read() == ""
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    if point in {"after append", "in a commit"}:
        with Historian(tmp_path / "store", SIGNALS) as historian:
            assert historian.acknowledged_us == 2 * SECOND_US
            times = historian.series([SIGNALS[0].name], 0, 10**9)[SIGNALS[0].name].time_us
            assert times.tolist() == [SECOND_US, 2 * SECOND_US]
    else:
        with Audit(tmp_path / "store") as audit:
            assert [intent.sequence for intent in audit.intents()] == [1, 2]
            assert [one.sequence for one in audit.outcomes()] == [1]
            assert audit.verify() == []


def finished(program: str, path: Path) -> list[str]:
    process = writer(program, path)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    return output.splitlines()


def test_a_full_disk_costs_no_sample(tmp_path: Path) -> None:
    path = tmp_path / "h.duckdb"
    said = finished(
        """
historian = Historian(path, SIGNALS, batch=10)
for k in range(1, 21):
    historian.append(reading(k * SECOND_US), 0)
limit_files(path.with_name(path.name + ".wal").stat().st_size + 2000)
k = 20
while not historian.trouble:
    k += 1
    historian.append(reading(k * SECOND_US), 0)
held_us = historian.acknowledged_us
for k in range(k + 1, k + 60):
    historian.append(reading(k * SECOND_US), 0)
assert historian.acknowledged_us == held_us, "acknowledged though the disk is full"
try:
    historian.flush()
except StoreError as error:
    say("refused", "cannot record" in str(error))
limit_files(resource.RLIM_INFINITY)
say(historian.flush() // SECOND_US, k, repr(historian.trouble))
historian.close()
""",
        path,
    )
    assert said[0] == "refused True"
    acknowledged, sent, trouble = said[1].split()
    assert (acknowledged, trouble) == (sent, "''")
    with Historian(path, SIGNALS) as historian:
        assert historian.warning == ""
        times = historian.series([SIGNALS[2].name], 0, 10**12)[SIGNALS[2].name].time_us
        assert times.tolist() == [k * SECOND_US for k in range(1, int(sent) + 1)]
        gaps = historian._database().execute("from gaps").fetchall()
        assert gaps == []


def test_what_does_not_fit_into_memory_is_a_gap_with_bounds(tmp_path: Path) -> None:
    path = tmp_path / "h.duckdb"
    finished(
        """
historian = Historian(path, SIGNALS, batch=5, buffer_limit=20)
for k in range(1, 6):
    historian.append(reading(k * SECOND_US), 0)
limit_files(1)
for k in range(6, 101):
    historian.append(reading(k * SECOND_US), 0)
limit_files(resource.RLIM_INFINITY)
historian.close()
""",
        path,
    )
    with Historian(path, SIGNALS) as historian:
        name = SIGNALS[0].name
        times = [t // SECOND_US for t in historian.series([name], 0, 10**12)[name].time_us.tolist()]
        ((from_us, until_us, reason),) = historian._database().execute("from gaps").fetchall()
    first_lost, last_lost = from_us // SECOND_US, until_us // SECOND_US
    assert first_lost == 6
    assert times == [*range(1, first_lost), *range(last_lost + 1, 101)]
    assert len(times) == 25
    assert "not recorded" in reason


def test_no_intent_on_a_full_disk_and_the_audit_goes_on_after(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    said = finished(
        """
audit = Audit(path, batch=4, waiting_limit=8)
audit.intend(decision(1, line__takt_s=60.0), UTC)
audit.conclude(accepted(1), UTC)
limit_files(path.with_name(path.name + "-wal").stat().st_size)
for attempt in range(2):
    try:
        audit.intend(decision(2, line__takt_s=61.0), UTC)
    except StoreError as error:
        say("refused", "do not write" in str(error), audit.last_sequence)
for verb in ("close", "open"):
    try:
        audit.command(verb, "operator", "test", UTC)
    except StoreError:
        say("refused")
for k in range(1, 30):
    audit.record_cycle(cycle(k))
say("trouble", bool(audit.trouble))
try:
    audit.flush()
except StoreError:
    say("refused")
limit_files(resource.RLIM_INFINITY)
audit.intend(decision(2, line__takt_s=61.0), UTC)
say("trouble", bool(audit.trouble))
audit.close()
""",
        path,
    )
    troubled = ["trouble True", "refused", "trouble False"]
    assert said == ["refused True 1"] * 2 + ["refused"] * 2 + troubled
    with Audit(path) as audit:
        assert audit.verify() == []
        assert [intent.setpoints["line.takt_s"] for intent in audit.intents()] == [60.0, 61.0]
        assert [one.sequence for one in audit.outcomes()] == [1]
        assert [one.verb for one in audit.commands()] == ["open"]  # what was refused never was
        kept = len(list(audit.cycles()))
        (note,) = audit.notes()
        assert note.reasons == (f"{29 - kept} cycles not recorded: store failed, memory full",)


def test_a_closing_store_that_cannot_write_says_how_much_is_lost(tmp_path: Path) -> None:
    said = finished(
        """
historian = Historian(path, SIGNALS, batch=50)
limit_files(1)
historian.append(reading(SECOND_US), 0)
try:
    historian.close()
except StoreError as error:
    say("1 readings were not recorded" in str(error))
historian.close()
limit_files(resource.RLIM_INFINITY)
audit = Audit(path.with_name("audit.sqlite"))
audit.intend(decision(1, line__takt_s=60.0), UTC)
limit_files(1)
audit.conclude(accepted(1), UTC)
try:
    audit.close()
except StoreError as error:
    say("1 rows cannot be committed" in str(error))
""",
        tmp_path / "h.duckdb",
    )
    assert said == ["True", "True"]
    with Audit(tmp_path / "audit.sqlite") as audit:
        assert [intent.sequence for intent in audit.intents()] == [1]
        assert decision(1, line__takt_s=60.0).batch is not None
