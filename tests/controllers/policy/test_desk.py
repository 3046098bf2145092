"""What is done to the bundles of a plant: nothing raises a policy unasked, and the way back is open when needed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from controllers.policy.approval import signed
from controllers.policy.bundle import Bundle, read_bundle
from controllers.policy.desk import Desk, inspect
from controllers.policy.manifest import Approval
from controllers.policy.signature import make_keys
from tests.controllers.policy.bundles import PLANT, bad_files, bundle, source
from tests.twin.analyze.in_step import nominal
from twin.plugins import RefusedError

CLOSED = Approval.CLOSED


@pytest.fixture
def shelf(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "plant.rl.policy", tmp_path / "plant.policies" / "rl"


@pytest.fixture
def desk() -> Desk:
    return Desk(nominal(PLANT))


def install(desk: Desk, shelf: tuple[Path, Path], seed: int, found: Bundle | None = None) -> Bundle:
    found = found or bundle(PLANT, CLOSED, seed)
    path = shelf[0].with_name(f"{seed}.new")
    found.write(path)
    desk.install(path, shelf)
    return found


def step(to: Approval) -> dict[str, str]:
    return {
        "state": str(to),
        "who": "ada",
        "reason": "in doubt",
        "utc": "2026-01-01T00:00:00.000+00:00",
    }


@pytest.mark.parametrize("to", [Approval.DRAFT, Approval.SHADOW, Approval.ADVISORY])
def test_the_way_back_never_raises_what_was_lowered(
    to: Approval, desk: Desk, shelf: tuple[Path, Path]
) -> None:
    install(desk, shelf, 1)
    desk.approve(shelf[0], step(to), None, shelf)
    install(desk, shelf, 2)
    lowered = min(shelf[1].glob("*.policy"))  # damaged, it hides what it was
    if to is Approval.ADVISORY:
        lowered.write_bytes(b"")
    if to is Approval.SHADOW:
        assert desk.rollback(shelf)["state"] == "shadow"
        return
    with pytest.raises(RefusedError, match="no other policy was in force before"):
        desk.rollback(shelf)
    assert read_bundle(shelf[0]) == bundle(PLANT, CLOSED, 2)


@pytest.mark.parametrize("what", ["truncated", "gone"])
def test_a_file_in_force_that_cannot_be_read_is_rolled_back(
    what: str, desk: Desk, shelf: tuple[Path, Path]
) -> None:
    install(desk, shelf, 1)
    last = install(desk, shelf, 2)
    if what == "gone":
        shelf[0].unlink()
    else:
        shelf[0].write_bytes(bad_files()["truncated"][0])
    told = desk.rollback(shelf)
    assert read_bundle(shelf[0]) == last
    assert str(shelf[0]) in told["passed_over"][0]


def test_kept_files_that_a_run_would_refuse_are_passed_over_and_told(
    desk: Desk, shelf: tuple[Path, Path]
) -> None:
    first = install(desk, shelf, 1)
    install(desk, shelf, 2)
    (shelf[1] / "0002.policy").write_bytes(bad_files()["weights that are no numbers"][0])
    install(desk, shelf, 3)
    (shelf[1] / "0004.policy").write_bytes(bad_files()["truncated"][0])
    told = desk.rollback(shelf)
    assert read_bundle(shelf[0]) == first
    (passed,) = told["passed_over"]
    assert "0002.policy" in passed
    assert "is not a finite number" in passed
    assert sorted(one.suffix for one in shelf[1].iterdir()) == [".policy"] + [".withdrawn"] * 3


def test_what_comes_back_is_what_was_looked_at(
    desk: Desk, shelf: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kept file that changes after it was verified does not come into force."""
    first = install(desk, shelf, 1)
    install(desk, shelf, 2)
    load = Desk.load

    def swapped(self: Desk, path: Path, **how: bool) -> object:
        found = load(self, path, **how)
        if path.parent == shelf[1]:
            bundle(PLANT, CLOSED, 3).write(path)
        return found

    monkeypatch.setattr(Desk, "load", swapped)
    desk.rollback(shelf)
    assert read_bundle(shelf[0]) == first


def test_the_same_network_in_another_role_is_another_policy(
    desk: Desk, shelf: tuple[Path, Path]
) -> None:
    first = install(desk, shelf, 1)
    role = first.manifest.role.model_copy(update={"return_after": 7})
    other = replace(first, manifest=first.manifest.model_copy(update={"role": role}))
    install(desk, shelf, 2, other)
    desk.rollback(shelf)
    assert read_bundle(shelf[0]) == first


def test_what_is_in_force_is_changed_only_to_what_a_run_takes(
    shelf: tuple[Path, Path], tmp_path: Path
) -> None:
    ada, public = make_keys(tmp_path, "ada")
    eve, _ = make_keys(tmp_path, "eve")
    desk = Desk(nominal(PLANT), (public.read_text(),))
    whole = signed(bundle(PLANT, CLOSED), ada)
    install(desk, shelf, 1, whole)
    before = shelf[0].read_bytes()
    for change in (
        lambda: desk.sign(shelf[0], eve, shelf),
        lambda: desk.approve(shelf[0], step(Approval.ADVISORY), eve, shelf),
    ):
        with pytest.raises(RefusedError, match="who is not trusted here"):
            change()
        assert shelf[0].read_bytes() == before
    elsewhere = tmp_path / "new.policy"
    bundle(PLANT, CLOSED).write(elsewhere)
    assert desk.sign(elsewhere, eve, shelf)["state"] == "closed"  # refused when it is installed
    desk.approve(shelf[0], step(Approval.ADVISORY), ada, shelf)
    assert read_bundle(shelf[0]).manifest.state is Approval.ADVISORY


def test_a_signature_in_place_is_kept_too(shelf: tuple[Path, Path], tmp_path: Path) -> None:
    key, public = make_keys(tmp_path, "ada")
    install(Desk(nominal(PLANT)), shelf, 1)
    Desk(nominal(PLANT)).sign(shelf[0], key, shelf)
    desk = Desk(nominal(PLANT), (public.read_text(),))
    install(desk, shelf, 2, signed(bundle(PLANT, CLOSED, 2), key))
    assert desk.rollback(shelf)["policy"] == bundle(PLANT).manifest.model_sha256


def test_an_export_looks_before_it_writes(desk: Desk, tmp_path: Path) -> None:
    made = source(PLANT)
    made.save(tmp_path / "trained")
    other = Desk(nominal("paint_cure_line"))
    to = tmp_path / "new.policy"
    with pytest.raises(RefusedError, match="made for molding_cell"):
        other.export(tmp_path / "trained", to)
    assert not to.exists()
    (tmp_path / "plant.yaml").touch()
    beside = tmp_path / "plant.rl.policy"
    for found, reason in (
        (bundle("paint_cure_line"), "is in force for another plant, paint_cure_line"),
        (bundle(PLANT, CLOSED), "is in force as closed"),
    ):
        found.write(beside)
        with pytest.raises(RefusedError, match=reason):
            desk.export(tmp_path / "trained", beside)
        assert read_bundle(beside) == found
    bundle(PLANT, seed=2).write(beside)
    desk.export(tmp_path / "trained", beside)
    assert read_bundle(beside) == bundle(PLANT)


def test_who_signed_is_told_of_a_signature_that_holds(tmp_path: Path) -> None:
    key, _ = make_keys(tmp_path, "ada")
    whole = signed(bundle(PLANT), key)
    path = tmp_path / "a.policy"
    whole.write(path)
    told = inspect(path)
    assert (told["signed_by"] is not None, told["signature_holds"]) == (True, True)
    forged = whole.manifest.model_copy(update={"evaluation": {"score": 1.0}})
    replace(whole, manifest=forged).write(path)
    told = inspect(path)
    assert (told["signed_by"], told["signature_holds"]) == (None, False)
    json.dumps(told)
