from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twin.cycle import Event
from twin.equipment.journal import KEPT_EVENTS, EventInbox, Journal

NAMES = ("a", "b", "c")


def events(count: int, first: int = 0) -> list[Event]:
    return [Event(k, NAMES[k % 3], k % 8, (k + 1) % 8, k) for k in range(first, first + count)]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),  # events of the step
            st.integers(0, 3),  # events of a method after it
            st.booleans(),  # is the answer to the step taken?
            st.booleans(),  # is the journal read before the next step?
        ),
        max_size=40,
    )
)
def test_each_event_arrives_once_however_often_it_is_told(steps):
    journal, inbox = Journal(NAMES), EventInbox(NAMES)
    inbox.begin(journal.window())
    happened: list[Event] = []
    received: list[Event] = []
    for in_step, by_method, answered, looked in steps:
        journal.open_window()
        news = events(in_step, len(happened))
        happened += news
        journal.add(news)
        first, told = journal.tell()
        if answered:
            if inbox.missing(first):
                inbox.take(journal.recent())
            inbox.add(first, told)
        news = events(by_method, len(happened))
        happened += news
        journal.add(news)
        if looked:
            window = journal.window()
            if inbox.missing(window[0]):
                inbox.take(journal.recent())
            inbox.take(window)
        received += inbox.drain()
    inbox.take(journal.recent())
    received += inbox.drain()
    assert received == happened
    assert inbox.lost == 0


def test_what_happened_before_we_came_is_not_ours():
    journal, inbox = Journal(NAMES), EventInbox(NAMES)
    journal.add(events(7))
    inbox.begin(journal.window())
    inbox.take(journal.window())
    assert inbox.drain() == ()
    journal.add(events(2, 7))
    inbox.take(journal.window())
    assert inbox.drain() == tuple(events(2, 7))


def test_a_hole_is_seen_and_counted():
    inbox = EventInbox(NAMES)
    inbox.begin([0])
    assert not inbox.missing(0)
    assert inbox.missing(3)
    inbox.add(3, events(2, 3))
    assert inbox.lost == 3
    assert inbox.drain() == tuple(events(2, 3))


def test_only_the_last_thousand_are_kept():
    journal = Journal(NAMES)
    for step in range(30):
        journal.open_window()
        journal.add(events(100, 100 * step))
        journal.tell()
    recent = journal.recent()
    assert recent[0] >= 3000 - KEPT_EVENTS - 200
    assert (len(recent) - 1) // 5 + recent[0] == 3000
