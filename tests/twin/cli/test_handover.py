"""What operators took from the loop of a line is not given back by a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.twin.analyze.in_step import loop_of, plc_of, true
from twin.act.limit_change import LimitChange
from twin.cli.desk import Desk
from twin.cli.drive import Job, Window, drive
from twin.cli.handover import CARRIED, RUN, Handover, handover
from twin.cli.interrupt import Interrupts
from twin.cli.local_socket import Peer
from twin.cli.problems import Problem
from twin.cli.screen import Blank
from twin.cli.session import Session
from twin.cli.shift import Shift
from twin.cli.trust import Trust
from twin.cycle import Mode
from twin.equipment.simulated import SimulatedEquipment
from twin.runtime import EquipmentClock, Runtime
from twin.signals import Limits
from twin.store.audit import Audit
from twin.store.audit_rows import OperatorCommand
from twin.store.run_folder import RunFolder, create

ENDPOINT = "opc.tcp://127.0.0.1:4840/takttwin"
FEED = "turning.feed_mm"
TAKT = "line.takt_s"
Said = tuple[str, str, str]


def ran(root: Path, *said: Said, hour: int, endpoint: str = ENDPOINT, plant: str = "") -> RunFolder:
    """A run whose operators have said this, (verb, who, reason); nobody has closed its books."""
    folder = create(
        root,
        plant or "machining_line",
        plant_hash="0",
        seed=1,
        command=["twin", "run"],
        versions={},
        arguments={"equipment": endpoint},
    )
    folder.place("fixed").mkdir()
    with Audit(folder.place("fixed/audit.sqlite")) as audit:
        for n, (verb, who, reason) in enumerate(said):
            audit.command(
                verb, who, reason, f"2026-03-0{1 + hour // 24}T{hour % 24:02d}:{n:02d}:00"
            )
    return folder


def limits(name: str, lo: float, hi: float, version: int = 1) -> Said:
    return "limits", "anna", LimitChange(name, Limits(lo, hi), version).in_words("new inserts")


def heard(*said: Said) -> Handover:
    found = Handover()
    for verb, who, reason in said:
        found.hear(OperatorCommand("2026-03-01T22:10:30.000+00:00", verb, who, reason))
    return found


def takt() -> Limits:
    """What the plant file lets the operator do."""
    (signal,) = (one for one in loop_of().signals if one.name == TAKT)
    assert signal.operator is not None
    return signal.operator


def test_what_was_given_back_does_not_stand() -> None:
    stands = heard(
        ("mv_off", "anna", f"{FEED} new inserts on trial"),
        ("mv_off", "anna", TAKT),
        ("freeze", "anna", "a look at the spindle"),
        ("mv_on", "bert", TAKT),
        ("open", "bert", ""),
        ("refused: freeze", "bert", "no"),
    )
    assert stands.off == {FEED: "new inserts on trial (anna, 2026-03-01T22:10)"}
    assert stands.frozen == ""


def test_narrower_limits_stand_and_wider_ones_do_not() -> None:
    own, signals = takt(), loop_of().signals
    narrow = heard(
        limits(TAKT, own.lo + 1.0, own.hi - 1.0), limits(TAKT, own.lo + 2.0, own.hi + 5.0, 2)
    )
    ((verb, reason),) = narrow.commands(signals)
    change = LimitChange.parse(reason)
    assert (verb, change) == ("limits", LimitChange(TAKT, Limits(own.lo + 2.0, own.hi), 1))
    assert "new inserts (anna" in reason
    assert list(heard(limits(TAKT, own.lo - 1.0, own.hi + 1.0)).commands(signals)) == []
    ((verb, reason),) = heard(limits(TAKT, own.hi + 1.0, own.hi + 2.0)).commands(signals)
    assert verb == "mv_off"
    assert reason.startswith(f"{TAKT} its limits")
    assert list(heard(("mv_off", "anna", "lathe.feed_mm")).commands(signals)) == []


def test_the_newest_run_of_the_line_hands_over(tmp_path: Path) -> None:
    ran(tmp_path, ("mv_off", "anna", f"{FEED} new inserts"), hour=22)
    ran(tmp_path, ("mv_off", "eve", TAKT), hour=25, plant="paint_cure_line")
    ran(tmp_path, ("mv_off", "eve", TAKT), hour=25, endpoint="opc.tcp://127.0.0.1:4841")
    ran(tmp_path, ("mv_off", "eve", TAKT), hour=25, endpoint="in-process")
    spelt = "opc.tcp://localhost:4840"
    found = handover(tmp_path, "machining_line", spelt)
    assert found.off == {FEED: "new inserts (anna, 2026-03-01T22:00)"}
    # What the run says by itself is nobody's word: its server bars another MV, it was ended by a signal.
    ran(
        tmp_path,
        ("mv_off", RUN, f"{TAKT} the server bars it"),
        ("open", RUN, "interrupted"),
        hour=26,
    )
    assert handover(tmp_path, "machining_line", ENDPOINT) == found
    ran(tmp_path, ("mv_off", CARRIED, f"{FEED} {found.off[FEED]}"), hour=27)
    assert handover(tmp_path, "machining_line", ENDPOINT) == found
    ran(tmp_path, ("mv_on", "bert", FEED), hour=28)
    assert handover(tmp_path, "machining_line", ENDPOINT) == Handover()


def test_who_had_the_loop_closed_is_known_until_an_operator_says_something_else(
    tmp_path: Path,
) -> None:
    def closed() -> str:
        return handover(tmp_path, "machining_line", ENDPOINT).closed

    ran(tmp_path, ("close", "anna", "trial"), hour=20)
    assert closed() == ""  # it was refused: the loop was never closed
    run = ran(tmp_path, ("close", "anna", "trial"), ("open", RUN, "interrupted"), hour=22)
    with Audit(run.place("fixed/audit.sqlite")) as audit:
        audit.note(0, "CLOSED", ("handshake complete",), "2026-03-01T22:00:30")
    by = "trial (anna, 2026-03-01T22:00)"
    assert closed() == by
    ran(tmp_path, ("mv_off", CARRIED, f"{FEED} new inserts"), ("mv_on", "bert", FEED), hour=23)
    assert closed() == by
    ran(tmp_path, ("close", "anna", "again"), ("refused: close", "anna", "no permit"), hour=24)
    assert closed() == by
    for n, verb in enumerate(("open", "off", "freeze", "ack", "start")):
        ran(tmp_path, (verb, "bert", ""), hour=25 + n)
        assert closed() == ""


def test_an_audit_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = ran(tmp_path, ("mv_off", "anna", FEED), hour=22)
    folder.place("fixed/audit.sqlite").write_bytes(b"no database" * 100)
    found = handover(tmp_path, "machining_line", ENDPOINT)
    assert found.off == {}
    assert "what operators took there is not known" in found.trouble[0]


def test_a_run_on_a_line_looks_for_what_was_taken_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(tmp_path, ("mv_off", "anna", f"{FEED} new inserts"), hour=22)
    for lockstep, off in ((False, [FEED]), (True, [])):  # in lockstep there are no operators
        session = Session(
            Shift("machining_line"),
            ["fixed"],
            "endpoint",
            endpoint=ENDPOINT,
            hours=None,
            is_lockstep=lockstep,
            is_closed=False,
            speed=1.0,
            out=tmp_path,
            trust=Trust(),
            as_json=False,
        )
        assert list(session._before().off) == off


async def test_a_run_begins_with_what_was_taken_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = takt()
    before = heard(
        ("mv_off", "anna", f"{FEED} new inserts"),
        limits(TAKT, own.lo + 1.0, own.hi),
        ("freeze", "anna", "a look at the spindle"),
    )
    loop, line = loop_of(), SimulatedEquipment(plc_of(true("machining_line")))
    window = Window(0, 60_000_000, is_paced=False)
    folder = RunFolder(tmp_path)
    job = Job("rules", before=before)
    await drive(
        job, loop, (line, EquipmentClock(line)), window, (folder, tmp_path), Blank(), Interrupts()
    )
    guard = loop.memory.guard
    assert guard.off_mvs == {FEED}
    assert guard.limits == {TAKT: Limits(own.lo + 1.0, own.hi)}
    assert guard.mode is Mode.ADVISORY
    told = capsys.readouterr().err
    assert f"note: as in the run before: {FEED} off: new inserts (anna" in told
    assert "note: as in the run before: frozen: a look at the spindle (anna" in told
    with Audit(folder.audit, read_only=True) as audit:
        said = list(audit.commands())
    assert {one.who for one in said} == {CARRIED}
    again = Handover()
    for one in said:
        again.hear(one)
    assert again == before


async def test_a_loop_that_was_frozen_is_opened_before_it_is_closed(tmp_path: Path) -> None:
    loop, line = loop_of(), SimulatedEquipment(plc_of(true("machining_line")))
    runtime, anna = Runtime(loop, line, EquipmentClock(line)), Peer("anna", is_owner=True)
    with Audit(tmp_path / "audit.sqlite") as audit:
        desk = Desk(runtime, audit, {}, None, str, float)
        desk.take_over(heard(("freeze", "anna", "the spindle"), ("mv_off", "anna", f"{FEED} worn")))
        await runtime.turn(0)
        close = {"verb": "close", "reason": "the day shift"}
        with pytest.raises(
            Problem, match=r"frozen in the run before: the spindle \(anna"
        ) as caught:
            await desk.answer(close, anna)
        assert caught.value.hint == "first: twin loop open"
        assert set(desk.status()["as_before"]) == {f"{FEED} off", "frozen"}

        async def answered(request: dict[str, str]) -> None:
            asking = asyncio.create_task(desk.answer(request, anna))
            while not runtime._commands:  # noqa: ASYNC110  (it is put there as soon as it is heard)
                await asyncio.sleep(0)
            await runtime._clock.sleep_until(runtime._clock.now_us() + 30_000_000)
            desk.turned(await runtime.turn(runtime._clock.now_us()))
            await asking

        await answered({"verb": "open"})
        assert set(desk.status()["as_before"]) == {f"{FEED} off"}
        await answered({"verb": "mv_on", "mv": FEED})
        assert "as_before" not in desk.status()
        await answered(close)
        assert runtime.loop.mode is Mode.INIT
