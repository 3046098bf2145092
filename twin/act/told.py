"""What a turn is told beside its reading: the operator's orders, and what else was reported since the last.

Reports come by the same way as orders, so that a recorded turn holds all that went into it. The runtime
reports ``fault: …``; ``gap: …`` if the line was out of sight; ``refused: …`` if it did not take our request for
remote control; ``unclosable: …`` before an order to close, if the line must not be closed on. The loop's monitor
reports ``drift: …`` when a doubt in a model is raised, and ``doubted: QUANTITY …`` as long as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping

from twin.act.limit_change import LimitChange
from twin.act.memory import GuardMemory
from twin.act.modes import LIMITS, MV_COMMANDS, OPERATOR_EVENTS
from twin.cycle import Mode
from twin.signals import Signal


def hear(
    commands: tuple[str, ...],
    mvs: Mapping[str, Signal],
    memory: GuardMemory,
    events: dict[str, str],
    conditions: dict[str, str],
) -> None:
    """Note what happened in ``events``, what does not hold in ``conditions``, and the rest in ``memory``."""
    standing: dict[str, str] = {}
    for command in commands:
        verb, _, reason = command.partition(":")
        reason = reason.strip()
        if verb == "fault":
            conditions["audit"] = events["hard"] = reason
        elif verb == "gap":
            memory.was_lost = True
            memory.forget_answers()
            memory.has_asked = False  # what comes back may be another session, or another PLC
            events["transient"] = reason
        elif verb == "refused":
            memory.has_asked = False
        elif verb == "unclosable":
            conditions["authority"] = reason
        elif verb == "drift":
            events["drift"] = f"the model is in doubt: {reason}"
        elif verb == "doubted":
            quantity, _, standing[quantity] = reason.partition(" ")
        elif verb in MV_COMMANDS:
            _switch(verb, reason, mvs, memory)
        elif verb == LIMITS:
            _limit(reason, mvs, memory)
        elif verb in OPERATOR_EVENTS:  # nobody orders what only the line can show
            events[verb] = f"operator: {verb}" + (f" ({reason})" if reason else "")
    _doubts(standing, memory, events, conditions)


def _doubts(
    standing: Mapping[str, str],
    memory: GuardMemory,
    events: Mapping[str, str],
    conditions: dict[str, str],
) -> None:
    """Nobody closes on a model in doubt who has not accepted that, by ``ack`` in ADVISORY.

    What was accepted holds until the doubt is gone, or one is raised anew: that one nobody has seen yet.
    """
    seen = standing.keys() if "ack" in events and memory.mode is Mode.ADVISORY else set()
    kept = set() if "drift" in events else memory.accepted_doubts | seen
    memory.accepted_doubts = kept & standing.keys()
    if left := standing.keys() - memory.accepted_doubts:
        why = ", ".join(standing[name] for name in sorted(left))
        conditions["model"] = f"the model is in doubt: {why} (to close all the same: ack first)"


def _switch(verb: str, reason: str, mvs: Mapping[str, Signal], memory: GuardMemory) -> None:
    """An operator's word on the MV that it names first; without one of ours it means nothing."""
    named = mvs.keys() & set(reason.split()[:1])
    memory.off_mvs = memory.off_mvs | named if verb == "mv_off" else memory.off_mvs - named


def _limit(reason: str, mvs: Mapping[str, Signal], memory: GuardMemory) -> None:
    """An operator's new limits for the MV that is named; what cannot be is passed over."""
    try:
        change = LimitChange.parse(reason)
    except ValueError:
        return
    signal = mvs.get(change.signal)
    if signal is not None and not change.refusal(signal, memory.limits_version):
        memory.limits = memory.limits | {change.signal: change.limits}
        memory.limits_version += 1
