"""An operator's new limits for one MV, as a command that can be recorded and computed again.

The version counts the changes of a run: whoever changes limits says which version was looked at, and is
refused if somebody else was quicker. So nobody overwrites what was never seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from twin.signals import Limits, Signal

FIRST = 1
"""The version of the plant file's own limits."""


@dataclass(frozen=True, slots=True)
class LimitChange:
    """From this version on, the operator's limits of one MV are these."""

    signal: str
    limits: Limits
    version: int

    def in_words(self, why: str = "") -> str:
        """The change as a command carries it: ``NAME LO HI VERSION WHY``; all digits are kept."""
        lo, hi = self.limits.lo, self.limits.hi
        return f"{self.signal} {lo!r} {hi!r} {self.version} {why}".strip()

    @classmethod
    def parse(cls, words: str) -> Self:
        """The change that a command carries. Raises ``ValueError`` for anything else."""
        signal, lo, hi, version, *_ = [*words.split(None, 4), *[""] * 4][:5]
        return cls(signal, Limits(float(lo), float(hi)), int(version))

    def refusal(self, signal: Signal, version: int) -> str:
        """Why the change is not to be made where limits stand at this version; empty if it is."""
        bounds = signal.engineering
        if self.version != version:
            return f"limits are at version {version}, not {self.version}: somebody changed them"
        if bounds is None or not bounds.nests(self.limits):
            within = "none" if bounds is None else f"[{bounds.lo:g}, {bounds.hi:g}]"
            return f"{self.signal}: outside the engineering limits {within}"
        return ""
