"""What the PLC has answered that it put in force, while readings may be too early to show it.

A PLC may report an echo before the value that it stands for. A reading with the new echo and the old value is none
that a rate could start from.
"""

from __future__ import annotations

from collections.abc import Mapping

from twin.act.by_hand import SLACK
from twin.act.memory import GuardMemory
from twin.cycle import Observation
from twin.signals import Signal


def not_shown_yet(
    mvs: Mapping[str, Signal], observation: Observation, memory: GuardMemory, period_us: int
) -> dict[str, float]:
    """The values of the last batch that a reading which shows its echo may not show yet.

    What differs half a period after the write is no old value (assumption): a PLC that goes there at its own rate.
    """
    if observation["control.echo_seq"] > memory.read_back_sequence:  # somebody wrote after us
        return {}
    recent_us = observation.time_us - period_us // 2
    return {
        name: value
        for name, value in memory.read_back.items()
        if memory.written_us.get(name, 0) > recent_us
        and not _is_shown(mvs[name], value, observation)
    }


def _is_shown(signal: Signal, value: float, observation: Observation) -> bool:
    slack = 0.0 if signal.validity is None else SLACK * (signal.validity.hi - signal.validity.lo)
    return abs(observation[signal.name] - value) <= slack
