"""Cases 27 to 29: disks that are full, fail, or have lost what was on them."""

from __future__ import annotations

import asyncio
import resource
import shutil
import signal
from pathlib import Path

from twin.chaos.case import Case, Step
from twin.chaos.plays import Harm, begun, broken, expect
from twin.chaos.rig import Loop, Rig
from twin.line.model import build_line
from twin.line.tags import line_signals
from twin.store.audit import Audit
from twin.store.historian import Historian

NOT_DURABLE = Step("SHED", "not durable|cannot|disk|I/O", 3, alarms=("record audit",))


async def _fill(rig: Rig) -> None:
    """No file of the loop's process may grow any more: every write ends as on a full disk."""
    _limit_files(rig.loop.child.pid, 1)
    await asyncio.sleep(6.0 * rig.period_s)


async def _empty(rig: Rig) -> None:
    _limit_files(rig.loop.child.pid, resource.RLIM_INFINITY)


def _limit_files(pid: int, size: int) -> None:
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))


async def _fiu(rig: Rig, word: str) -> None:
    """Tell the fault library inside the loop's process which calls fail."""
    process = await asyncio.create_subprocess_exec("fiu-ctrl", "-c", word, str(rig.loop.child.pid))
    expect(rig, holds=await process.wait() == 0, why="fiu-ctrl has failed")


async def _fail_sync(rig: Rig) -> None:
    await _fiu(rig, "enable name=posix/io/sync/*")
    await asyncio.sleep(6.0 * rig.period_s)


async def _mend_sync(rig: Rig) -> None:
    await _fiu(rig, "disable name=posix/io/sync/*")


async def _play_failing_sync(rig: Rig) -> None:
    await rig.begin_loop(before=("fiu-run", "-x"))
    await broken(Harm(_fail_sync, (NOT_DURABLE,), mend=_mend_sync))(rig)


async def _play_damaged(rig: Rig) -> None:
    """What a killed loop has left is damaged; a new one starts beside it, and the files open again."""
    first = await begun(rig)
    await first.child.end(signal.SIGKILL)
    rig.story.before = None  # it ends here
    runs = rig.folder / "damaged"
    shutil.copytree(first.runs, runs, ignore=shutil.ignore_patterns("*.sock"))
    for path in (*runs.glob("*/*/audit.sqlite"), *runs.glob("*/*/historian.duckdb")):
        _damage(path)
    second = await rig.begin_loop(runs=runs)
    mode = (await second.ask("status"))["mode"]
    expect(rig, holds=mode == "ADVISORY", why=f"a loop beside damaged files starts in {mode}")
    found = _opened(rig, next(path for path in runs.glob("*/*") if _is_of(path, first)))
    rig.story.notes += found


def _is_of(path: Path, loop: Loop) -> bool:
    return path.parent.name == loop.folder.name and path.is_dir() and path.name == "restless"


def _damage(path: Path) -> None:
    """The middle is overwritten, and the end is missing."""
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[100 : half + 100] = b"\xa5" * half
    path.write_bytes(data[: len(data) - len(data) // 8])
    for side in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}.wal")):
        if side.exists():
            whole = side.read_bytes()
            side.write_bytes(b"\xa5" * 64 + whole[64 : len(whole) // 3])


def _opened(rig: Rig, folder: Path) -> list[str]:
    """Damaged files are set aside whole, and new ones take their place, without an end of the program."""
    found = []
    signals = line_signals(build_line(rig.plant))
    with Audit(folder / "audit.sqlite") as audit:
        if not audit.warning:
            found.append("a damaged audit was opened without a word")
    with Historian(folder / "historian.duckdb", signals) as past:
        if not past.warning:
            found.append("a damaged historian was opened without a word")
    kept = [path.name for path in folder.iterdir() if "damaged" in path.name]
    if len({name.split(".")[0] for name in kept}) < 2:
        found.append(f"no copy was set aside: {sorted(path.name for path in folder.iterdir())}")
    return found


DISK = (
    Case(
        27,
        "disk",
        "disk full",
        "RLIMIT_FSIZE of the loop's process is 1 byte for six periods",
        broken(Harm(_fill, (NOT_DURABLE,), mend=_empty)),
    ),
    Case(
        28,
        "disk",
        "fsync fails",
        "libfiu: every fsync of the loop's process fails for six periods",
        _play_failing_sync,
        needs=lambda: "" if shutil.which("fiu-run") else "fiu-run and fiu-ctrl (fiu-utils)",
    ),
    Case(
        29,
        "disk",
        "damaged and truncated files at the start",
        "a loop is killed, its historian and audit are overwritten in the middle and cut off",
        _play_damaged,
    ),
)
