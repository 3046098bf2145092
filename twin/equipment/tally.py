"""What is told of a server's door: singly up to a number a minute and source, beyond that as a count.

Each kind of thing has a measure of its own, and in it each source: whoever knocks a thousand times a second
takes nothing from what is told of the others, and fills no disk.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

MINUTE_US = 60_000_000
MOST_SOURCES = 64
"""Sources of one kind that are told apart within a minute; those who come later share a measure."""
OTHERS = "others"


class Kind(Enum):
    """What there is to tell, and how many of it a minute and source are told one by one."""

    JUNK = ("refused: connection", 1)
    """Bytes that are no request: anybody who reaches the port can send them."""
    STRANGER = ("refused: session", 60)
    """Somebody who did not come in."""
    REFUSED = ("refused", 60)
    """What a user asked for and may not have."""
    SESSION = ("session", 60)
    """Who has come in."""
    GRANTED = ("granted", 60)
    """What a user has changed."""

    def __init__(self, title: str, most: int) -> None:
        self.title = title
        self.most = most


@dataclass(slots=True)
class _Count:
    since_us: int
    came: int = 0
    last: str = ""


@dataclass(slots=True)
class Tally:
    """Counts by kind and source, and passes on to ``tell`` (what, who, why) what it may bear."""

    tell: Callable[[str, str, str], None]
    clock: Callable[[], int]
    _counts: dict[tuple[Kind, str], _Count] = field(default_factory=dict)

    def take(self, kind: Kind, source: str, row: tuple[str, str, str]) -> None:
        """One thing (what, who, why) that happened now, by whom it came from."""
        now_us = self.clock()
        self._settle(now_us)
        key = (kind, source)
        if key not in self._counts:
            if sum(known is kind for known, _ in self._counts) >= MOST_SOURCES:
                key = (kind, OTHERS)
            self._counts.setdefault(key, _Count(now_us))
        count = self._counts[key]
        count.came, count.last = count.came + 1, row[2]
        if count.came <= kind.most:
            self.tell(*row)

    def look(self) -> None:
        """Tell the counts of minutes that are over; else they wait for the next thing that happens."""
        self._settle(self.clock())

    def settle(self) -> None:
        """Tell how many were not told, for good: the end of the server."""
        self._settle(None)

    def _settle(self, now_us: int | None) -> None:
        """Close the measures whose minute is over; of None all."""
        for (kind, source), count in list(self._counts.items()):
            if now_us is not None and now_us - count.since_us < MINUTE_US:
                continue
            del self._counts[kind, source]
            if (untold := count.came - kind.most) > 0:
                why = f"{untold} more within a minute; the last: {count.last}"
                self.tell(kind.title, source, why)


def source_of(peer: object) -> str:
    """Where somebody comes from: a host; of IPv6 the network of 64 bits, of which one host has all."""
    host = str(peer[0] if isinstance(peer, tuple) and peer else peer)
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host
