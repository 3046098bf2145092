"""Cases 18 to 26: solvers, policies, configuration."""

from __future__ import annotations

from itertools import pairwise

from twin.chaos.alone import hostile
from twin.chaos.case import Case, Step
from twin.chaos.evidence import Evidence
from twin.chaos.files import bad_files, wrong_files
from twin.chaos.plays import FAILED, Harm, broken, decided, kill_worker
from twin.chaos.policies import no_policy, offered_bundles, out_of_training
from twin.chaos.rig import Missed, Rig

EXPIRED = Step("SHED", "hold time", 15, 2.0, alarms=("controller",))
ZONE = "oven.zone_1_setpoint_c"


async def _narrow(rig: Rig) -> None:
    """New limits, above where the setpoint stands."""
    now = await rig.loop.ask("limits?")
    lo, hi = now["limits"][ZONE]["operator"]
    answer = await rig.loop.ask(
        "limits",
        "chaos",
        mv=ZONE,
        lo=lo + 0.6 * (hi - lo),
        hi=hi - 0.1 * (hi - lo),
        version=now["version"],
    )
    if "error" in answer:
        raise Missed(f"new limits were refused: {answer['error']}")


def _ramped(evidence: Evidence) -> list[str]:
    """From below the new limits into them, step by step."""
    fault = evidence.story.faults[0]
    moves = [
        one.value
        for one in evidence.received
        if one.signal == ZONE and fault.from_s < one.at_s < fault.until_s
    ]
    if len(moves) < 5 or not all(a <= b + 1e-9 for a, b in pairwise(moves)):
        return [f"no ramp: {moves[:8]}"]
    return []


def _dropped(evidence: Evidence) -> list[str]:
    """What was not granted is on record, with its reason."""
    clips = sum(
        len(cycle["decision"]["clips"]) for record in evidence.records for cycle in record.cycles
    )
    return [] if clips else ["nothing that was asked was refused: no clip is on record"]


CONTROL = (
    Case(
        18,
        "solver",
        "infeasible, NaN, hangs",
        "the controller raises, until the loop sheds; asks for NaN; never comes back",
        broken(
            decided("infeasible", FAILED, EXPIRED),
            decided("nan", for_s=6.0),
            decided("hang", FAILED),
        ),
        speed=2.0,
    ),
    Case(
        19,
        "solver",
        "its process is killed, crashes, runs out of memory",
        "SIGKILL from outside, SIGSEGV from inside, MemoryError",
        broken(Harm(kill_worker, (FAILED,)), decided("die", FAILED), decided("memory", FAILED)),
        speed=2.0,
    ),
    Case(
        20,
        "policy",
        "NaN, out of bounds, wrong shape",
        "the controller asks for each for eight periods",
        broken(decided("nan", for_s=8.0), decided("anything", for_s=8.0), decided("shape", FAILED)),
        proof=_dropped,
    ),
    Case(
        21,
        "policy",
        "observation far outside the training range",
        "in one process: the shipped policy drives, and for an hour the air is colder than all it was trained in",
        alone=out_of_training,
        needs=no_policy,
    ),
    Case(
        22,
        "policy",
        "adversarial policy for 100,000 turns",
        "in one process, guard and PLC: random, bang-bang, constant most, far beyond all limits",
        alone=hostile,
    ),
    Case(
        23,
        "policy",
        "bundle tampered with, unsigned, of another plant, with a pickle",
        "put in force beside a loop that runs the shipped policy; then the process of its controller is killed",
        offered_bundles,
        needs=no_policy,
    ),
    Case(
        24,
        "config",
        "plant files that are wrong",
        "typo, unknown key, lo above hi, no rate, limits not nested, unknown tag, a name twice, NaN",
        alone=wrong_files,
    ),
    Case(
        25,
        "config",
        "limits narrowed while a setpoint stands outside",
        f"the operator's limits of {ZONE} go above it",
        broken(Harm(_narrow, for_s=12.0)),
        proof=_ramped,
    ),
    Case(
        26,
        "config",
        "files that are meant badly",
        "bomb of aliases, a Python object, deep nesting, 100 MB; run names that lead outside",
        alone=bad_files,
    ),
)
