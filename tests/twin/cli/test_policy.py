"""``twin policy`` and policies in ``twin run``: what is refused, with which code, and what is on record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from controllers.policy.approval import signed
from controllers.policy.manifest import Approval
from controllers.policy.signature import make_keys
from tests.controllers.policy.bundles import BAD, PLANT, bad_files, bundle, source
from tests.twin.cli.shell import REPOSITORY, only_run, twin
from twin.cli.episode import Episode, play
from twin.cli.policy_files import found_policies, policies_folder
from twin.cli.shift import Shift
from twin.plugins import RefusedError
from twin.store.audit import Audit

RUN = ("--in-process", "--shift", "3m", "--json")


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plant of one's own; the working directory is beside it."""
    monkeypatch.chdir(tmp_path)
    assert twin("init", "own", "--template", PLANT)[0] == 0
    return Path("own/plant.yaml")


def recorded(plant: Path) -> list[tuple[str, str]]:
    """Verb and reason of all that is in the audit of the plant's policies."""
    path = policies_folder(plant) / "audit.sqlite"
    if not path.is_file():
        return []
    with Audit(path, read_only=True) as audit:
        return [(one.verb, one.reason) for one in audit.commands()]


def in_force(plant: Path, state: Approval = Approval.CLOSED) -> Path:
    path = plant.with_name("plant.rl.policy")
    bundle(PLANT, state).write(path)
    return path


@pytest.mark.parametrize("what", BAD)
def test_a_bad_bundle_is_refused_with_code_7_and_on_record(what: str, plant: Path) -> None:
    data, reason = bad_files()[what]
    path = plant.with_name("plant.rl.policy")
    path.write_bytes(data)
    code, out, err = twin("run", "--plant", plant, "--controller", "rl", *RUN)
    assert code == 7
    assert reason in json.loads(out)["error"]["message"]
    assert err.startswith("error[policy]: ")
    ((verb, said),) = recorded(plant)
    assert verb == "refuse"
    assert said.startswith("run of rl: ")
    assert reason in said
    assert not Path("unpickled").exists()
    assert path.read_bytes() == data
    code, _, err = twin("policy", "verify", "--plant", plant)
    assert code == 7
    assert reason in err
    assert len(recorded(plant)) == 2


def test_a_bad_bundle_cannot_be_signed_approved_or_put_in_force(plant: Path) -> None:
    before = in_force(plant).read_bytes()
    data, reason = bad_files()["weights that are no numbers"]
    bad = Path("bad.policy")
    bad.write_bytes(data)
    key, _ = make_keys(Path("keys"), "ada")
    for verb, *more in (
        ("sign", "--key", key),
        ("approve", "--to", "shadow", "--reason", "why not"),
        ("install", "--reason", "why not"),
    ):
        code, _, err = twin("policy", verb, bad, "--plant", plant, *more)
        assert code == 7
        assert reason in err
        assert recorded(plant)[-1][0] == "refuse"
    assert bad.read_bytes() == data
    assert plant.with_name("plant.rl.policy").read_bytes() == before


def test_export_inspect_verify(plant: Path) -> None:
    source(PLANT).save(Path("trained"))
    code, out, err = twin(
        "policy", "export", "trained", "--plant", plant, "--to", "new.policy", "--json"
    )
    assert code == 0, err
    assert Path("new.policy").read_bytes() == bundle(PLANT).to_bytes()
    told = json.loads(out)
    assert (told["state"], told["signed_by"], told["plant"]) == ("draft", None, PLANT)
    code, out, _ = twin("policy", "inspect", "new.policy", "--json")
    assert code == 0
    assert json.loads(out)["manifest"] == bundle(PLANT).manifest.model_dump(mode="json")
    code, out, err = twin("policy", "verify", "new.policy", "--plant", plant)
    assert code == 0, err
    assert "state: draft" in out
    assert twin("init", "other", "--template", "paint_cure_line")[0] == 0
    assert twin("policy", "verify", "new.policy", "--plant", "other", "--json")[0] == 7
    assert recorded(plant) == []
    assert "made for molding_cell" in recorded(Path("other/plant.yaml"))[0][1]
    code, _, err = twin("policy", "export", "own", "--plant", plant, "--to", "x.policy")
    assert code == 7
    assert "holds no trained actor" in err
    assert not Path("x.policy").exists()


def test_from_draft_to_closed_and_back(plant: Path) -> None:
    new = Path("new.policy")
    bundle(PLANT).write(new)
    code, _, err = twin("policy", "install", new, "--plant", plant, "--reason", "x")
    assert code == 7
    assert "a draft is not put in force" in err
    for to in ("advisory", "closed", "draft"):
        code, _, err = twin("policy", "approve", new, "--plant", plant, "--to", to, "--reason", "x")
        assert code == 7, to
        assert "comes after" in err or "already" in err
    assert new.read_bytes() == bundle(PLANT).to_bytes()
    for to in ("shadow", "advisory", "closed"):
        code, out, err = twin("policy", "approve", new, "--plant", plant, "--to", to, "--reason", f"as {to}", "--json")  # fmt: skip
        assert code == 0, err
        assert json.loads(out)["state"] == to
    code, out, _ = twin("policy", "inspect", new, "--json")
    steps = json.loads(out)["manifest"]["approvals"]
    assert [(one["state"], one["reason"]) for one in steps] == [
        ("shadow", "as shadow"),
        ("advisory", "as advisory"),
        ("closed", "as closed"),
    ]
    assert twin("policy", "install", new, "--plant", plant, "--reason", "good")[0] == 0
    assert plant.with_name("plant.rl.policy").read_bytes() == new.read_bytes()
    verbs = [verb for verb, _ in recorded(plant)]
    assert verbs.count("approve") == 6
    assert verbs[-1] == "install"


def test_rollback_brings_back_the_one_before(plant: Path) -> None:
    path, files = plant.with_name("plant.rl.policy"), []
    for seed in (1, 2, 3):
        files.append(Path(f"{seed}.policy"))
        bundle(PLANT, Approval.CLOSED, seed).write(files[-1])
        assert twin("policy", "install", files[-1], "--plant", plant, "--reason", "x")[0] == 0
    assert (
        twin("policy", "approve", "--plant", plant, "--to", "shadow", "--reason", "in doubt")[0]
        == 0
    )
    for n in (1, 0):
        code, _, err = twin("policy", "rollback", "--plant", plant, "--reason", "scrap went up")
        assert code == 0, err
        assert path.read_bytes() == files[n].read_bytes()
    code, _, err = twin("policy", "rollback", "--plant", plant, "--reason", "x")
    assert code == 7
    assert "no other policy was in force before" in err
    assert path.read_bytes() == files[0].read_bytes()
    kept = sorted(one.name for one in (policies_folder(plant) / "rl").iterdir())
    assert kept == ["0001.policy", "0002.withdrawn", "0003.withdrawn", "0004.withdrawn"]
    assert twin("policy", "install", files[2], "--plant", plant, "--reason", "x")[0] == 0
    assert twin("policy", "rollback", "--plant", plant, "--reason", "x")[0] == 0
    assert path.read_bytes() == files[0].read_bytes()


def test_who_trusts_a_key_takes_signed_policies_only(plant: Path) -> None:
    path = in_force(plant)
    assert twin("run", "--plant", plant, "--controller", "rl", *RUN)[0] == 0
    code, _, err = twin("run", "--plant", plant, "--controller", "rl", "--require-signed", *RUN)
    assert code == 7
    assert "a signature is required and no key is trusted" in err
    code, out, _ = twin("policy", "keys", "ada", "--to", "keys", "--json")
    assert code == 0
    assert Path("keys/ada.key").stat().st_mode & 0o777 == 0o600
    assert twin("policy", "keys", "ada", "--to", "keys")[0] == 5
    assert twin("policy", "trust", "keys/ada.key", "--plant", plant)[0] == 7
    assert twin("policy", "trust", "keys/ada.pub", "--plant", plant)[0] == 0
    code, _, err = twin("run", "--plant", plant, "--controller", "rl", *RUN)
    assert code == 7
    assert "is not signed" in err
    assert twin("policy", "sign", "--plant", plant, "--key", "keys/ada.key")[0] == 0
    assert twin("run", "--plant", plant, "--controller", "rl", "--require-signed", *RUN)[0] == 0
    told = json.loads(twin("policy", "verify", "--plant", plant, "--json")[1])
    assert told["signed_by"] == json.loads(out)["fingerprint"]
    code, _, err = twin("policy", "approve", "--plant", plant, "--to", "advisory", "--reason", "x")
    assert code == 7
    assert "needs another signature" in err
    arguments = ("--to", "advisory", "--reason", "x", "--key", "keys/ada.key")
    assert twin("policy", "approve", "--plant", plant, *arguments)[0] == 0
    assert twin("policy", "verify", "--plant", plant)[0] == 0
    eve, _ = make_keys(Path("keys"), "eve")
    signed(bundle(PLANT, Approval.CLOSED), eve).write(path)
    code, _, err = twin("run", "--plant", plant, "--controller", "rl", *RUN)
    assert code == 7
    assert "who is not trusted here" in err


@pytest.mark.parametrize("state", [Approval.DRAFT, Approval.ADVISORY])
def test_a_loop_is_not_closed_on_a_policy_that_may_not_drive(state: Approval, plant: Path) -> None:
    in_force(plant, state)
    code, _, err = twin("run", "--plant", plant, "--controller", "rl", *RUN)
    assert code == 7
    assert f"is approved as {state}, and this loop is to be closed" in err
    assert recorded(plant)[-1][0] == "refuse"


def test_without_a_policy_the_run_says_what_is_missing(plant: Path) -> None:
    code, _, err = twin("run", "--plant", plant, "--controller", "rl", *RUN)
    assert code == 7
    assert "there is no policy for 'rl' of molding_cell" in err
    in_force(plant)
    code, _, err = twin("run", "--plant", plant, "--controller", "fixed", "--policy", "own/plant.rl.policy", *RUN)  # fmt: skip
    assert code == 2
    assert "add --controller rl" in err


def test_a_run_keeps_the_policy_that_it_began_with_and_replays_with_it(plant: Path) -> None:
    path = in_force(plant)
    code, _, err = twin("run", "--plant", plant, "--compare", "rl,fixed", "--in-process", "--shift", "10m")  # fmt: skip
    assert code == 0, err
    folder = only_run(Path("runs"))
    assert (folder / "policies" / "rl.policy").read_bytes() == path.read_bytes()
    told = json.loads((folder / "manifest.json").read_text())["arguments"]["tuned"]["policies"][
        "rl"
    ]
    assert told["path"] == "policies/rl.policy"
    path.write_bytes(b"something else")
    code, _, err = twin("replay", folder)
    assert code == 0, err
    with Audit(folder / "rl" / "audit.sqlite", read_only=True) as audit:
        turn = json.loads(next(audit.cycles()))
    assert "policy ppo" in turn["decision"]["why"]


def test_a_run_without_policies_says_nothing_of_them(plant: Path) -> None:
    in_force(plant)
    assert twin("run", "--plant", plant, "--controller", "fixed", *RUN)[0] == 0
    folder = only_run(Path("runs"))
    assert (
        "policies" not in json.loads((folder / "manifest.json").read_text())["arguments"]["tuned"]
    )
    assert not (folder / "policies").exists()


def test_the_process_that_controls_a_line_imports_no_torch(plant: Path) -> None:
    in_force(plant)
    code = (
        "import json, sys; from twin.cli.app import app\n"
        "try: app(['run', '--plant', 'own', '--controller', 'rl', '--in-process', '--shift', '5m'])\n"
        "except SystemExit as ended: code = ended.code\n"
        "print(json.dumps([code, sorted(sys.modules)]))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    ended, modules = json.loads(done.stdout.splitlines()[-1])
    assert not ended, done.stderr
    assert "onnxruntime" in modules
    heavy = ("torch", "stable_baselines3", "onnxscript", "tensorboard", "optuna")
    assert not [name for name in modules if name.partition(".")[0] in heavy]


def test_a_draft_is_played_in_an_evaluation_and_a_bad_one_refused(plant: Path) -> None:
    path = in_force(plant, Approval.DRAFT)
    episode = Episode(Shift(str(plant), hours=0.05), "rl")
    played = play(episode)["decisions"]
    assert played["made"] == 16
    assert played["not_closed"] == 1  # the handshake
    path.write_bytes(bad_files()["weights that are no numbers"][0])
    with pytest.raises(RefusedError, match="is not a finite number"):
        play(episode)


def test_a_copied_plant_brings_its_policies(plant: Path, tmp_path: Path) -> None:
    in_force(plant)
    plant.with_name("plant.bc.policy").write_bytes(b"x")
    plant.with_name("plant.old.bc.policy").write_bytes(b"x")
    found = found_policies(plant)
    assert sorted(found) == ["bc", "residual", "rl"]  # one ships with the plant
    assert found["rl"].use == "trial"
