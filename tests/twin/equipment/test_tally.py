"""What goes on record of a server's door, and that nobody can keep anything else out of it."""

from __future__ import annotations

from twin.equipment.tally import MINUTE_US, MOST_SOURCES, Kind, Tally, source_of

Row = tuple[str, str, str]


class Clock:
    now_us = 0

    def __call__(self) -> int:
        return self.now_us


def tally() -> tuple[Tally, list[Row], Clock]:
    told: list[Row] = []
    clock = Clock()
    return Tally(lambda *row: told.append(row), clock), told, clock


def test_junk_is_a_row_and_a_count_and_takes_nothing_from_others() -> None:
    found, told, clock = tally()
    for k in range(1_000):
        found.take(Kind.JUNK, "10.0.0.9", ("refused: connection", "10.0.0.9", f"junk {k}"))
    found.take(Kind.STRANGER, "10.0.0.1", ("refused: session", "anna", "wrong password"))
    found.take(Kind.REFUSED, "anna", ("refused: write", "anna", "needs the role operator"))
    assert told == [
        ("refused: connection", "10.0.0.9", "junk 0"),
        ("refused: session", "anna", "wrong password"),
        ("refused: write", "anna", "needs the role operator"),
    ]
    told.clear()
    clock.now_us = MINUTE_US - 1
    found.look()
    assert told == []
    clock.now_us = MINUTE_US
    found.look()
    found.look()
    why = "999 more within a minute; the last: junk 999"
    assert told == [("refused: connection", "10.0.0.9", why)]


def test_each_source_has_a_measure_of_its_own_and_so_many_of_them_that_it_ends() -> None:
    found, told, _ = tally()
    for k in range(3 * MOST_SOURCES):
        for _ in range(5):
            found.take(Kind.JUNK, f"10.0.0.{k}", ("refused: connection", f"10.0.0.{k}", "junk"))
    assert len(told) == MOST_SOURCES + 1
    found.settle()
    assert len(told) == 2 * (MOST_SOURCES + 1)
    assert told[-1][:2] == ("refused: connection", "others")
    assert told[-1][2].startswith(f"{2 * MOST_SOURCES * 5 - 1} more")
    found.settle()
    assert len(told) == 2 * (MOST_SOURCES + 1)


def test_a_host_is_a_source_and_of_ipv6_the_network_that_a_host_has() -> None:
    assert source_of(("10.0.0.9", 4711)) == "10.0.0.9"
    assert source_of(("2001:db8::1", 4711, 0, 0)) == source_of(("2001:db8::2", 1, 0, 0))
    assert source_of(("2001:db8::1", 1, 0, 0)) != source_of(("2001:db8:0:1::1", 1, 0, 0))
    assert source_of(("::ffff:10.0.0.9", 1, 0, 0)) == "10.0.0.9"
    assert source_of("elsewhere") == "elsewhere"
