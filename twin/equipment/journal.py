"""Numbered transitions on their way to a client that must not miss one."""

from __future__ import annotations

from collections.abc import Sequence

from twin.cycle import Event

KEPT_EVENTS = 1000


class Journal:
    """What happened at the line, numbered from 0.

    A *window* holds what came since the last step was told, so that whatever a method causes
    between two steps is shown at once and told again with the next step; the numbers tell a client
    what it knows already. The last ``KEPT_EVENTS`` are kept for one that finds a number missing.
    """

    def __init__(self, entities: Sequence[str]) -> None:
        self._entities = {name: place for place, name in enumerate(entities)}
        self._events: list[Event] = []
        self._first = self._window = self._told = 0

    def open_window(self) -> None:
        """Begin a step: what was told by the one before leaves the window."""
        self._window = self._told
        spare = self._window - self._first - KEPT_EVENTS
        if spare > 0:
            del self._events[:spare]
            self._first += spare

    def add(self, events: Sequence[Event]) -> None:
        """Number what has happened."""
        self._events += events

    def tell(self) -> tuple[int, Sequence[Event]]:
        """The window as the answer to a step: the number of its first event, and all of them."""
        self._told = self._first + len(self._events)
        return self._window, self._events[self._window - self._first :]

    def window(self) -> list[int]:
        """The window as numbers, see ``twin.equipment.address_space``."""
        return self._flat(self._window)

    def recent(self) -> list[int]:
        """All that is kept, as numbers."""
        return self._flat(self._first)

    def _flat(self, since: int) -> list[int]:
        flat = [since]
        for e in self._events[since - self._first :]:
            flat += (e.time_us, self._entities[e.entity], e.before, e.after, e.part)
        return flat


class EventInbox:
    """The client's side: takes records from any source, in any overlap, and hands each out once.

    ``lost`` counts numbers that came from nowhere.
    """

    def __init__(self, entities: Sequence[str]) -> None:
        self._entities = tuple(entities)
        self._events: list[Event] = []
        self._next = -1
        self.lost = 0

    def begin(self, numbers: Sequence[int]) -> None:
        """Whatever stands in these records happened before our time."""
        self._next = numbers[0] + (len(numbers) - 1) // 5

    def missing(self, first: int) -> bool:
        """Whether records that begin with this number leave a hole."""
        return self._next < first

    def take(self, numbers: Sequence[int]) -> None:
        """Add records as numbers."""
        if len(numbers) > 1 or numbers[0] > self._next:
            names = self._entities
            rest = zip(*(numbers[place::5] for place in range(1, 6)), strict=True)
            self.add(numbers[0], [Event(t, names[e], b, a, part) for t, e, b, a, part in rest])

    def add(self, first: int, events: Sequence[Event]) -> None:
        """Add events of which the first has this number."""
        self.lost += max(0, first - self._next)
        known = max(0, self._next - first)
        self._events += events[known:]
        self._next = max(self._next, first + len(events))

    def note(self, event: Event) -> None:
        """Add one that nobody has numbered."""
        self._events.append(event)

    def drain(self) -> tuple[Event, ...]:
        """All events not handed out yet."""
        events, self._events = tuple(self._events), []
        return events
