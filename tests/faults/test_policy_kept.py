"""A loop that runs keeps the policy that it has, whatever becomes of the file that it came from."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path

import pytest

from controllers.policy.bundle import Bundle
from controllers.policy.manifest import Approval
from tests.controllers.policy.bundles import PLANT, bad_files, bundle, placed, point
from tests.faults.test_controller_killed import until_there
from tests.twin.analyze.in_step import drive, loop_of, nominal, plc_of, true
from twin.cli.controller_child import ControllerChild, ControllerLate, _plain
from twin.cli.policy_files import as_recorded, for_run, keep
from twin.cli.shift import Shift
from twin.cycle import Action, Situation
from twin.plugins import RefusedError


def policy() -> Bundle:
    return bundle(PLANT, Approval.CLOSED)


def test_a_run_copies_what_it_begins_with(tmp_path: Path) -> None:
    beside, run = tmp_path / "plant.rl.policy", tmp_path / "run"
    run.mkdir()
    begun = point(PLANT, "rl", placed(policy(), beside))
    kept = keep(begun, run)
    copy = Path(kept.policies["rl"].path)
    assert copy.read_bytes() == beside.read_bytes()
    beside.write_bytes(bad_files()["truncated"][0])
    assert copy.read_bytes() == policy().to_bytes()
    with pytest.raises(RefusedError, match="was changed while the run began"):
        keep(begun, run)
    again = as_recorded(kept, tmp_path / "elsewhere").policies["rl"]
    assert Path(again.path) == tmp_path / "elsewhere" / "policies" / "rl.policy"
    assert again.sha256 == kept.policies["rl"].sha256


def test_a_run_takes_only_what_its_controllers_need_and_trusts_whom_the_plant_trusts(
    tmp_path: Path,
) -> None:
    plant, trusted = tmp_path / "plant.yaml", tmp_path / "plant.policies" / "trusted"
    begun = point(PLANT, "rl", placed(policy(), tmp_path / "it.policy"))
    asked = {"given": None, "drives": True, "must_be_signed": False, "patience_s": 0.0}
    assert for_run(begun, plant, ["bc"], **asked).policies == {}  # type: ignore[arg-type]
    found = for_run(begun, plant, ["rl"], **asked).policies["rl"]  # type: ignore[arg-type]
    assert (found.use, found.must_be_signed, found.keys) == ("drive", False, ())
    trusted.mkdir(parents=True)
    (trusted / "ada.pub").write_text("a key")
    found = for_run(begun, plant, ["rl"], **asked).policies["rl"]  # type: ignore[arg-type]
    assert (found.must_be_signed, found.keys) == (True, ("a key",))


def test_a_refusal_comes_through_from_the_controllers_own_process() -> None:
    refused = _plain(RefusedError("not this one", "take another"))
    again = pickle.loads(pickle.dumps(refused))  # noqa: S301  (our own, made a line before)
    assert (str(again), again.hint) == ("not this one", "take another")
    assert isinstance(again, RefusedError)


@pytest.mark.slow
def test_a_controller_that_is_started_anew_finds_the_same_policy(tmp_path: Path) -> None:
    beside, run = tmp_path / "plant.rl.policy", tmp_path / "run"
    run.mkdir()
    kept = keep(point(PLANT, "rl", placed(policy(), beside)), run)
    seen: list[Situation] = []

    class Watch:
        def decide(self, situation: Situation) -> Action:
            seen.append(situation)
            return Action({})

    drive(plc_of(true(PLANT)), loop_of(Watch(), line=nominal(PLANT)), 7)
    with ControllerChild(Shift(PLANT, engine="simpy"), "rl", kept, 30.0) as child:
        first = [dict(child.decide(situation).setpoints) for situation in seen]
        beside.write_bytes(bad_files()["another plant"][0])
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(ControllerLate):
            child.decide(seen[0])
        again = [dict(until_there(child, situation).setpoints) for situation in seen]
    assert again == first
    assert first[0] != first[-1]
