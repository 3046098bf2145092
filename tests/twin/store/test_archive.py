"""Backup and restore: whole or not at all, and every byte compared."""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest

from tests.twin.store.records import SECOND_US, SIGNALS, UTC, reading
from twin.store.archive import LIST, pack, unpack, verify
from twin.store.audit import Audit
from twin.store.closed import ClosedHistorian
from twin.store.historian import Historian
from twin.store.quarantine import StoreError
from twin.store.run_folder import RunFolder, create
from twin.store.segments import Segments

OWNER = (
    "import sys; from pathlib import Path; from tests.twin.store.records import SIGNALS\n"
    "from twin.store.historian import Historian\n"
    "with Historian(Path(sys.argv[1]), SIGNALS):\n"
    "    print('open', flush=True)\n    sys.stdin.read()\n"
)


@contextmanager
def owned(path: Path) -> Iterator[None]:
    """Another process owns a historian, as a loop does that runs."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        yield
        process.communicate()


def run_of(root: Path) -> RunFolder:
    made = create(root, "line", plant_hash="h", seed=1, command=["twin"], versions={})
    made.write_text("plant.yaml", "name: line\n")
    (made.folder / "mpc").mkdir()
    return RunFolder(made.folder / "mpc")


def record(folder: RunFolder, until_s: int = 5) -> None:
    with (
        Historian(folder.historian, SIGNALS, batch=1) as historian,
        Audit(folder.audit) as audit,
    ):
        for second in range(1, until_s + 1):
            historian.append(reading(second * SECOND_US), second * SECOND_US)
        historian.export_parquet(folder.segments)
        audit.command("close", "anna", "trial", UTC)
    (folder.folder / "log.jsonl").write_text('{"message": "decided"}\n')


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".sqlite"
    }


def test_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    stores = run_of(tmp_path / "runs")
    record(stores)
    run = stores.folder.parent
    (run / "loop.sock").touch()
    (run / ".draft.tmp").touch()
    made = pack(run, tmp_path / "b.tar.gz")
    assert (made.run, made.missing) == (run.name, ())
    assert verify(tmp_path / "b.tar.gz") == made
    back = unpack(tmp_path / "b.tar.gz", tmp_path / "elsewhere")
    assert back == tmp_path / "elsewhere" / run.name
    (run / "loop.sock").unlink()
    (run / ".draft.tmp").unlink()
    assert contents(back) == contents(run)
    with Audit(back / "mpc" / "audit.sqlite", read_only=True) as audit:
        assert audit.verify() == []
        assert [command.who for command in audit.commands()] == ["anna"]
    with ClosedHistorian(back / "mpc" / "historian.duckdb") as historian:
        assert historian.newest_us == 5_000_000
    assert [p.name for p in (tmp_path / "elsewhere").iterdir()] == [run.name]


def test_the_same_run_makes_the_same_bytes(tmp_path: Path) -> None:
    stores = run_of(tmp_path / "runs")
    record(stores)
    for name in ("one", "two"):
        pack(stores.folder.parent, tmp_path / f"{name}.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_a_run_that_goes_on_is_saved_up_to_its_last_closed_segment(tmp_path: Path) -> None:
    stores = run_of(tmp_path / "runs")
    record(stores)
    with owned(stores.historian):
        made = pack(stores.folder.parent, tmp_path / "b.tar.gz")
        assert made.missing[0] == "mpc/historian.duckdb"
    back = RunFolder(unpack(tmp_path / "b.tar.gz", tmp_path / "elsewhere") / "mpc")
    assert not back.historian.exists()
    with Segments(back.segments) as closed:
        assert closed.newest_us == 5_000_000


def spoiled(source: Path, target: Path, name: str, text: bytes | None) -> Path:
    """A backup in which one member is another, or gone."""
    with (
        tarfile.open(source, "r:gz") as old,
        gzip.open(target, "wb") as packed,
        tarfile.open(fileobj=packed, mode="w") as new,
    ):
        for member in old:
            stream = old.extractfile(member)
            assert stream is not None
            held = stream.read()
            if member.name == name:
                if text is None:
                    continue
                held, member.size = text, len(text)
            new.addfile(member, BytesIO(held))
    return target


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("plant.yaml", b"name: lime\n", "plant.yaml is not what was packed"),
        ("plant.yaml", None, "plant.yaml is missing"),
        (LIST, None, "does not begin with a list"),
        (LIST, b'{"format": 9, "run": "r", "files": {}, "missing": []}', "format 9"),
        (LIST, b'{"format": 1, "run": "../r", "files": {}, "missing": []}', "leads elsewhere"),
        (LIST, b'{"format": 1, "run": "r", "files": {}, "missing": []}', "is not in its list"),
        (LIST, b"[", "Expecting value"),
    ],
)
def test_what_was_changed_is_refused_and_leaves_nothing(
    tmp_path: Path, name: str, text: bytes | None, said: str
) -> None:
    stores = run_of(tmp_path / "runs")
    record(stores)
    pack(stores.folder.parent, tmp_path / "b.tar.gz")
    bad = spoiled(tmp_path / "b.tar.gz", tmp_path / "bad.tar.gz", name, text)
    for use in (verify, lambda path: unpack(path, tmp_path / "elsewhere")):
        with pytest.raises(StoreError, match=said):
            use(bad)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("kept", [0, 10, 200, -200, -20, -1])
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    stores = run_of(tmp_path / "runs")
    record(stores)
    pack(stores.folder.parent, tmp_path / "b.tar.gz")
    whole = (tmp_path / "b.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[:kept])
    with pytest.raises(StoreError, match="damaged"):
        unpack(tmp_path / "cut.tar.gz", tmp_path / "elsewhere")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_record_that_was_tampered_with_before_is_told_at_its_return(tmp_path: Path) -> None:
    stores = run_of(tmp_path / "runs")
    record(stores)
    database = sqlite3.connect(stores.audit)
    database.execute("update commands set who = 'nobody'")
    database.commit()
    database.close()
    pack(stores.folder.parent, tmp_path / "b.tar.gz")
    with pytest.raises(StoreError, match=r"audit\.sqlite"):
        unpack(tmp_path / "b.tar.gz", tmp_path / "elsewhere")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_nothing_that_is_there_is_touched(tmp_path: Path) -> None:
    stores = run_of(tmp_path / "runs")
    record(stores)
    target = tmp_path / "b.tar.gz"
    pack(stores.folder.parent, target)
    before = target.read_bytes()
    with pytest.raises(StoreError, match="is there already"):
        pack(stores.folder.parent, target)
    with pytest.raises(StoreError, match="is there already"):
        unpack(target, tmp_path / "runs")
    assert target.read_bytes() == before
    shutil.rmtree(stores.folder.parent)
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match=r"no manifest\.json"):
        pack(tmp_path / "empty", tmp_path / "c.tar.gz")
    assert not (tmp_path / "c.tar.gz").exists()
    with pytest.raises(StoreError, match="no such file"):
        verify(tmp_path / "c.tar.gz")


def test_the_list_says_what_is_inside(tmp_path: Path) -> None:
    stores = run_of(tmp_path / "runs")
    record(stores)
    pack(stores.folder.parent, tmp_path / "b.tar.gz")
    with tarfile.open(tmp_path / "b.tar.gz") as tar:
        first = tar.extractfile(LIST)
        assert first is not None
        head = json.loads(first.read())
        assert set(head["files"]) == set(tar.getnames()) - {LIST}
