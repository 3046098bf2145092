"""What was not measured as it should be: in full for the record, in short for a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NAMED = 3
"""So many signals are named on a screen; of more, their number is told."""


@dataclass(frozen=True, slots=True)
class Doubts:
    """How often the counters and readings of a line were not to be relied on, by signal name.

    ``began_anew_us`` are the times at which the line as a whole counted from zero again.
    ``went_back`` are counters that did, ``not_believed`` those that moved as they cannot,
    ``unusable`` readings without a value; ``others`` are sentences as they are.
    """

    began_anew_us: Sequence[int]
    went_back: Mapping[str, int]
    not_believed: Mapping[str, int]
    unusable: Mapping[str, int]
    others: Sequence[str]

    def in_full(self) -> tuple[str, ...]:
        """Every counter by its name."""
        said = [self._anew()] if self.began_anew_us else []
        said += [_went_back(name, times) for name, times in self.went_back.items()]
        said += [_not_believed(name, times) for name, times in self.not_believed.items()]
        if self.unusable:
            said.append(_unusable(self.unusable))
        return (*said, *self.others)

    def in_short(self) -> tuple[str, ...]:
        """The same where it concerns a few; what concerns many is one sentence.

        A line that began anew has explained what its counters and readings went through by that.
        """
        said, restarts = [], len(self.began_anew_us)
        if restarts:
            said.append(self._anew())
        elif len(self.went_back) > NAMED:
            said.append(f"{len(self.went_back)} counters went backwards; the report names them.")
        else:
            said += [_went_back(name, times) for name, times in self.went_back.items()]
        explained = restarts + 1 if restarts else 0  # around the loss and around the return
        odd = {name: times for name, times in self.not_believed.items() if times > explained}
        if len(odd) > NAMED:
            said.append(f"{len(odd)} counters moved as they cannot; the report names them.")
        else:
            said += [_not_believed(name, times) for name, times in odd.items()]
        if self.unusable and not restarts:
            many, most = len(self.unusable), max(self.unusable.values())
            few = many <= NAMED
            short = f"Up to {most} readings of {many} signals had no value; the report names them."
            said.append(_unusable(self.unusable) if few else short)
        return (*said, *self.others)

    def _anew(self) -> str:
        times = ", ".join(f"{time_us / 3.6e9:.2f} h" for time_us in self.began_anew_us)
        return f"The line began anew at {times}: what it counted since its last reading is lost."


def _went_back(name: str, times: int) -> str:
    return f"{name} went backwards {times} times: what it counted in between is lost."


def _not_believed(name: str, times: int) -> str:
    return f"{name} moved {times} times as it cannot: not booked until confirmed."


def _unusable(counts: Mapping[str, int]) -> str:
    holes = ", ".join(f"{name} ({count})" for name, count in counts.items())
    return f"Readings without a usable value: {holes}."
