"""All that the guard remembers from one cycle to the next, as one record."""

from __future__ import annotations

from dataclasses import dataclass, field

from twin.act.by_hand import Band
from twin.act.limit_change import FIRST
from twin.cycle import Mode
from twin.signals import Limits


@dataclass(slots=True)
class GuardMemory:
    """All that the guard remembers from one cycle to the next."""

    mode: Mode = Mode.ADVISORY
    requested: Mode = Mode.ADVISORY
    """The mode that operators want, whatever the loop can be in."""
    since_us: int = 0
    sequence: int = 0
    heartbeat: int = 0
    written_us: dict[str, int] = field(default_factory=dict)
    """When each MV was written last, at the latest: the rate counts from here."""
    sent: tuple[str, ...] = ()
    """The MVs of the last batch that was granted."""
    read_back: dict[str, float] = field(default_factory=dict)
    """What the PLC said that it has put in force, until a reading shows it too."""
    read_back_sequence: int = 0
    unsure: tuple[str, ...] = ()
    """The MVs of batches without an answer: nobody knows when they came into force, if at all."""
    off_mvs: set[str] = field(default_factory=set)
    """MVs that an operator has switched off."""
    limits: dict[str, Limits] = field(default_factory=dict)
    """What an operator has set as limits of MVs, in the place of the plant file's."""
    limits_version: int = FIRST
    bands: dict[str, Band] = field(default_factory=dict)
    """Where each MV may stand while the loop is CLOSED and nobody moves it by hand."""
    is_frozen: bool = False
    """Whether an operator holds all setpoints where they are."""
    bad_reads: int = 0
    mismatches: int = 0
    holds_us: list[int] = field(default_factory=list)
    """When the loop has begun to hold, as far back as it counts."""
    was_lost: bool = False
    """Whether the line was out of sight since it was last in remote control."""
    has_asked: bool = False
    """Whether we have asked for remote control since the loop was closed, or the line lost, and were not refused."""
    accepted_doubts: set[str] = field(default_factory=set)
    """Quantities whose model is in doubt, and an operator has said that the loop may be closed all the same."""
    may_reset: bool = False
    """Whether an operator has acknowledged that the PLC has shed."""
    reasons: tuple[str, ...] = ("started",)

    def forget_answers(self) -> None:
        """What the PLC has said of our batches counts no longer: it may be another one by now, or as new."""
        self.read_back.clear()
        self.read_back_sequence = 0
