"""The file of a policy: one way to write it, and no way to change it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.policy.approval import signed
from controllers.policy.bundle import read_bundle, whole_bundle
from controllers.policy.loader import load
from controllers.policy.manifest import read_manifest
from controllers.policy.signature import make_keys
from tests.controllers.policy.bundles import BAD, PLANT, bad_files, bundle
from tests.twin.analyze.in_step import nominal
from twin.plugins import RefusedError


def test_it_comes_back_as_it_went(tmp_path: Path) -> None:
    found = bundle(PLANT)
    found.write(tmp_path / "a.policy")
    again = read_bundle(tmp_path / "a.policy")
    assert again == found
    assert again.to_bytes() == (tmp_path / "a.policy").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["a.policy"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.policy"
    bundle(PLANT).write(path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("controllers.policy.bundle.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        bundle(PLANT, seed=2).write(path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.policy"]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A bundle without and one with a signature."""
    key, _ = make_keys(tmp_path_factory.mktemp("keys"), "ada")
    return bundle(PLANT).to_bytes(), signed(bundle(PLANT), key).to_bytes()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_byte_of_it_can_be_changed(both: tuple[bytes, bytes], data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(both))
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(RefusedError):
        whole_bundle(bytes(changed), "it")


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_part_of_it_can_be_cut_off_or_added(both: tuple[bytes, bytes], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:  # fmt: skip
    whole = data.draw(st.sampled_from(both))
    path = tmp_path_factory.getbasetemp() / "cut.policy"
    kept = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(
        data.draw(st.sampled_from([whole[:kept], whole[len(whole) - kept :], whole + whole[:1]]))
    )
    with pytest.raises(RefusedError):
        read_bundle(path)


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_refused_with_its_reason(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data, reason = bad_files()[what]
    path = tmp_path / "bad.policy"
    path.write_bytes(data)
    with pytest.raises(RefusedError, match=reason) as refused:
        load(path, nominal(PLANT))
    assert str(refused.value).startswith(str(path))
    assert refused.value.hint or "network" in reason or "ONNX" in reason or "number" in reason
    assert not (tmp_path / "unpickled").exists()


def test_another_file_than_was_found_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.policy"
    bundle(PLANT).write(path)
    with pytest.raises(RefusedError, match="is not the file that was found"):
        load(path, nominal(PLANT), sha256="0" * 64)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"return_after": 3', '"return_after": 0', "return_after must be at least 1"),
        ('"parity": ', '"parity": NaN, "x": ', "parity"),
        ('"format": 1', '"format": 2', "format"),
        ('"format": 1', '"format": 1.0', "not written as it was exported"),
        ('"samples": 900', '"samples": "900"', "samples"),
        ("\n", "\r\n", "not written as it was exported"),
    ],
)
def test_a_manifest_is_read_strictly(old: str, new: str, reason: str) -> None:
    text = bundle(PLANT).manifest.text()
    assert old in text
    with pytest.raises(ValueError, match=reason):
        read_manifest(text.replace(old, new, 1))


def test_a_manifest_must_agree_with_itself() -> None:
    manifest = bundle(PLANT).manifest
    ranges, check = manifest.training_range, manifest.check_vector
    for change, reason in (
        ({"training_range": ranges.model_copy(update={"mean": ranges.mean[1:]})}, "needs 70 entries"),
        ({"training_range": ranges.model_copy(update={"lowest": ranges.highest, "highest": ranges.lowest})}, "lowest lies above"),
        ({"check_vector": check.model_copy(update={"actions": check.actions[1:]})}, "as many actions"),
        ({"check_vector": check.model_copy(update={"observations": check.actions})}, "has not 70 numbers"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=reason):
            read_manifest(manifest.model_copy(update=change).text())


def test_a_signature_binds_manifest_and_network(tmp_path: Path) -> None:
    key, public = make_keys(tmp_path, "ada")
    whole, pem, line = signed(bundle(PLANT), key), public.read_text(), nominal(PLANT)
    path = tmp_path / "a.policy"
    whole.write(path)
    assert load(path, line, keys=[pem], must_be_signed=True).bundle == whole
    forged = replace(
        whole, manifest=whole.manifest.model_copy(update={"evaluation": {"score": 1.0}})
    )
    forged.write(path)
    for must in (True, False):
        with pytest.raises(RefusedError, match="signature is not one of this manifest"):
            load(path, line, keys=[pem], must_be_signed=must)


def test_a_signature_is_asked_for_where_it_is_required(tmp_path: Path) -> None:
    key, public = make_keys(tmp_path, "ada")
    other, _ = make_keys(tmp_path, "eve")
    line, pem, path = nominal(PLANT), public.read_text(), tmp_path / "a.policy"
    for found, keys, reason in (
        (bundle(PLANT), [pem], "is not signed"),
        (signed(bundle(PLANT), other), [pem], "who is not trusted here"),
        (signed(bundle(PLANT), key), [], "no key is trusted"),
    ):
        found.write(path)
        with pytest.raises(RefusedError, match=reason):
            load(path, line, keys=keys, must_be_signed=True)
        load(path, line, keys=keys)


def test_keys_are_their_owners_alone_and_never_written_over(tmp_path: Path) -> None:
    key, public = make_keys(tmp_path / "keys", "ada")
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_bytes()
    with pytest.raises(FileExistsError):
        make_keys(tmp_path / "keys", "ada")
    assert key.read_bytes() == before
    key.chmod(0o640)
    with pytest.raises(RefusedError, match="others may open it"):
        signed(bundle(PLANT), key)
    key.chmod(0o600)
    public.chmod(0o600)
    with pytest.raises(RefusedError, match="is no private key"):
        signed(bundle(PLANT), public)
