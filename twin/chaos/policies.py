"""Cases 21 and 23: a trained policy that sees what it never saw, and bundles that nobody should run."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from twin.act.asked import has_stood_in
from twin.chaos.alone import HOUR_US, PLANT, Change, course, place_of, refusals
from twin.chaos.files import twin_says
from twin.chaos.plays import FAILED, begun, ended, expect, kill_worker
from twin.chaos.rig import Loop, Missed, Rig
from twin.config import PolicyFile, TunedPoint, find_plant, load_plant, load_tuned
from twin.config.tuned import nearest
from twin.cycle import Cycle, Mode, Reading
from twin.plugins import find_controller
from twin.store.audit import Audit

CONTROLLER = "residual"
OTHER_PLANT = "machining_line"
SEEN, UNSEEN = "env.ambient_c", -8.0
"""A quantity that policies see, and a value that its sensor may show and no training has."""
DECISION_US = 60_000_000
"""A policy decides once a minute of plant time; it has until its next decision to hand over."""
REFUSED = 7
TITLE = re.compile(r"policy \w+ [0-9a-f]{8}")


def shipped(plant: str = PLANT) -> Path:
    """The policy that ships beside a plant file, if there is one."""
    file = find_plant(plant)
    return file.with_name(f"{file.stem}.{CONTROLLER}.policy")


def no_policy() -> str:
    """Why no policy can be run here, or nothing."""
    if find_spec("onnxruntime") is None:
        return "pip install 'takttwin[policy]': policies are run by onnxruntime"
    missing = [str(file) for file in (shipped(), shipped(OTHER_PLANT)) if not file.is_file()]
    return f"no policy bundle: {missing[0]}" if missing else ""


def out_of_training(folder: Path, seed: int) -> list[str]:
    """It hands over with its next decision, stays away while that lasts, and comes back; the loop stays CLOSED."""
    plc, cycles = course(
        seed, 3.0, _colder(HOUR_US, 2 * HOUR_US), find_controller(CONTROLLER), _point()
    )
    found = refusals(plc)
    last = cycles[-1].decision
    if last.mode is not Mode.CLOSED:
        found.append(f"{last.mode} at {last.time_us / HOUR_US:.2f} h: {'; '.join(last.reasons)}")
    before = [c for c in cycles if c.reading.time_us < HOUR_US]
    during = [c for c in cycles if HOUR_US + DECISION_US < c.reading.time_us < 2 * HOUR_US]
    if any(map(_stood_in, before)):
        found.append("it was not heard before anything was wrong")
    if not during or not all(map(_stood_in, during)):
        heard = sum(not _stood_in(c) for c in during)
        found.append(f"heard in {heard} of {len(during)} turns out of its training range")
    if _stood_in(cycles[-1]):
        found.append("it was not heard again an hour after all was well")
    return found


def _point() -> TunedPoint:
    """The tuned constants, which the policy was trained to add to, with the shipped policy for a trial."""
    plant = load_plant(PLANT)
    points = load_tuned(PLANT, plant).points
    data = shipped().read_bytes()
    given = PolicyFile(path=str(shipped()), sha256=hashlib.sha256(data).hexdigest())
    point = points[nearest(points, plant.demand.utilisation)]
    return point.model_copy(update={"policies": {CONTROLLER: given}})


def _colder(from_us: int, until_us: int) -> Change:
    place = place_of(SEEN)

    def change(reading: Reading) -> Reading:
        if not from_us < reading.time_us <= until_us:
            return reading
        values = reading.values.copy()
        values[place] = UNSEEN
        return replace(reading, values=values)

    return change


def _stood_in(cycle: Cycle) -> bool:
    return has_stood_in(cycle.decision.asked)


async def offered_bundles(rig: Rig) -> None:
    """Each is refused with its code and on record; the loop keeps its policy, also when its worker dies."""
    file = await asyncio.to_thread(_put_in_force, rig.folder / "plant")
    await rig.begin_loop(plant=str(file), controller=CONTROLLER)
    loop = await begun(rig)
    driven_by = await _policy_of(loop)
    expect(rig, driven_by != "", "the loop does not say which policy drives it")
    in_force = file.with_name(f"{file.stem}.{CONTROLLER}.policy")
    for name, data in forgeries(in_force.read_bytes()).items():
        in_force.write_bytes(data)
        for refusal in await asyncio.to_thread(_refused, file, name):
            rig.story.notes.append(refusal)
    rig.begin_fault(FAILED)
    await kill_worker(rig)
    try:
        await loop.until({"HOLD"}, rig.patience_s(FAILED.periods))
    except Missed as missed:
        rig.story.notes.append(str(missed))
    rig.end_fault()
    await ended(rig)
    now = await _policy_of(loop)
    expect(rig, now == driven_by, f"driven by {now!r} after the worker died, {driven_by!r} before")
    rig.story.after = loop.footprint


def forgeries(good: bytes) -> Mapping[str, bytes]:
    """Bundles that nobody should run, from one that is good."""
    middle = len(good) // 2
    return {
        "tampered with": good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :],
        "cut off": good[:middle],
        "of another plant": shipped(OTHER_PLANT).read_bytes(),
        "a pickle": b"\x80\x04cposix\nsystem\nX\x02\x00\x00\x00id\x85R.",
        "unsigned": good,
    }


def _put_in_force(folder: Path) -> Path:
    """A copy of plant and truth with the shipped policy, a draft, approved and in force beside them."""
    folder.mkdir(parents=True)
    file, plant = folder / "plant.yaml", find_plant(PLANT)
    shutil.copyfile(plant, file)
    shutil.copyfile(plant.with_name(f"{plant.stem}.truth.yaml"), folder / "plant.truth.yaml")
    bundle = folder / "new.policy"
    shutil.copyfile(shipped(), bundle)
    about = ("--plant", str(file), "--controller", CONTROLLER, "--reason", "chaos")
    for state in ("shadow", "advisory", "closed"):
        _done("policy", "approve", str(bundle), "--to", state, *about)
    _done("policy", "install", str(bundle), *about)
    return file


def _done(*arguments: str) -> None:
    code, said = twin_says(*arguments)
    if code:
        raise Missed(f"twin {' '.join(arguments[:2])} ended with {code}: {said[-300:]}")


def _refused(file: Path, name: str) -> list[str]:
    """What a run with the bundle in force gets: its code, and an entry on record."""
    plant = str(file)
    if name == "unsigned":  # as soon as somebody is trusted, nothing unsigned runs
        _done("policy", "keys", "chaos", "--to", str(file.parent / "keys"))
        _done("policy", "trust", str(file.parent / "keys" / "chaos.pub"), "--plant", plant)
    before = _noted(file)
    code, said = twin_says("policy", "verify", "--plant", plant, "--controller", CONTROLLER)
    found = [] if code == REFUSED else [f"{name}: verify ended with {code}: {said[-200:]}"]
    if _noted(file) <= before:
        found.append(f"{name}: its refusal is not on record")
    run = ("run", "--plant", plant, "--emulate", "--lockstep", "--shift", "60s")
    code, said = twin_says(*run, "--controller", CONTROLLER, "--out", str(file.parent / "runs"))
    if code != REFUSED or "Traceback" in said:
        found.append(f"{name}: a run ended with {code}: {said[-200:]}")
    return found


def _noted(file: Path) -> int:
    """How many entries the audit of the plant's policies holds."""
    with Audit(file.with_name(f"{file.stem}.policies") / "audit.sqlite", read_only=True) as audit:
        return len(list(audit.commands()))


async def _policy_of(loop: Loop) -> str:
    """Which policy a loop says it is driven by: its algorithm and the beginning of its hash."""
    said = str((await loop.ask("status")).get("asked", ""))
    found = TITLE.search(said)
    return found.group() if found else ""
