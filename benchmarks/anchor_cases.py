"""Lines whose figures are known exactly, and how much of each is simulated.

Times are in units of the mean cycle of most machines. A chain is solved for the lines with exponential
times; the fluid line and the sleeping machine have closed forms. Seeds stand here, so that the same
numbers come out on every run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.anchor_lines import (
    BUSY_KW,
    STANDBY_KW,
    WARM_UP_KW,
    Machine,
    throughput_per_s,
)

UNIT_S = 20.0
"""One unit of time; exact in binary, and a quarter of it is a cycle that a station may have."""
SPLIT = 4
"""Parts that stand for one unit of fluid (A7). At four the throughput lies some 0.01 % above the
fluid's at most, at one some 0.04 %; measured with the same luck for both."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is simulated: replications, and their length after a warm-up, in units of time."""

    replications: int
    length: float
    warm_up: float


@dataclass(frozen=True, slots=True)
class Anchor:
    """A line, and its throughput in units (of ``split`` parts) per unit of time, or its mean power.

    ``closed_form`` is given where theory has one. Where the line ``is_chain``, ``expected`` is the
    solution of the Markov chain all the same. ``grain``: see ``benchmarks.compensators``.
    """

    case: str
    source: str
    machines: tuple[Machine, ...]
    room: tuple[int, ...]
    first_seed: int
    simpy: Effort
    compiled: Effort
    closed_form: float | None = None
    is_chain: bool = True
    figure: str = "throughput"
    split: int = 1
    grain: int = 1

    @property
    def expected(self) -> float:
        """The exact value."""
        if self.is_chain or self.closed_form is None:
            return throughput_per_s(self.machines, self.room) * UNIT_S
        return self.closed_form


def exponential(rate: float = 1.0, failure_rate: float = 0.0, repair_rate: float = 0.0) -> Machine:
    """A machine with exponential times; all rates per unit of time."""
    if failure_rate == 0.0:
        return Machine(UNIT_S / rate)
    return Machine(UNIT_S / rate, "exponential", UNIT_S / failure_rate, UNIT_S / repair_rate)


def loss_queue(arrival: float, capacity: int) -> float:
    """M/M/1/K with service rate 1: the rate of those who find room."""
    if arrival == 1.0:
        return capacity / (capacity + 1.0)
    lost = (1.0 - arrival) * arrival**capacity / (1.0 - arrival ** (capacity + 1))
    return arrival * (1.0 - lost)


def fluid_line(p: float, r: float, n: float) -> float:
    """Two machines alike, flow 1, failing in operation at rate ``p``, ``n`` units of room between."""
    return (n * r * (r + p) + 2.0 * r) / (n * (r + p) ** 2 + 2.0 * r + 4.0 * p)


def sleeper_kw(arrival: float, wakes_at: int, set_up: float) -> float:
    """Mean power of a machine with service rate 1 that sleeps until so many wait, then sets up.

    Busy for the share ``arrival`` of the time (what comes is worked off). The rest is divided into
    cycles of renewal: asleep for ``wakes_at`` arrivals, then the set-up. Only the means of both count,
    so it is the same for a set-up that always takes the same time.
    """
    asleep = wakes_at / arrival
    rest_kw = (STANDBY_KW * asleep + WARM_UP_KW * set_up) / (asleep + set_up)
    return BUSY_KW * arrival + (1.0 - arrival) * rest_kw


def bowl(outer: float) -> tuple[Machine, ...]:
    """Three machines with a total work of 3, of which either outer one has ``outer``."""
    return (
        exponential(1.0 / outer),
        exponential(1.0 / (3.0 - 2.0 * outer)),
        exponential(1 / outer),
    )


def anchors() -> tuple[Anchor, ...]:
    """All cases, with seeds of their own."""
    return (*_reliable(), *_bowls(), *_unreliable(), *_fluid(), *_sleepers())


def _reliable() -> Iterator[Anchor]:
    reliable = exponential()
    for n, (arrival, capacity) in enumerate(((0.8, 5), (0.9, 11), (1.0, 3))):
        yield Anchor(
            f"A1 M/M/1/{capacity}, arrivals {arrival}",
            "M/M/1/K, textbook",
            (exponential(arrival), reliable),
            (capacity - 2,),
            1_000_000 + 10_000 * n,
            Effort(150, 2_500.0, 300.0),
            Effort(200, 120_000.0, 300.0),
            closed_form=loss_queue(arrival, capacity),
        )
    for n, room in enumerate((0, 1, 10)):
        yield Anchor(
            f"A2 two machines, {room} places",
            "birth and death chain, textbook",
            (reliable,) * 2,
            (room,),
            2_000_000 + 10_000 * n,
            Effort(150, 2_500.0, 300.0),
            Effort(200, 120_000.0, 300.0),
            closed_form=(room + 2.0) / (room + 3.0),
        )
    for n, (machines, replications) in enumerate(((3, 200), (4, 200), (5, 300), (6, 400))):
        yield Anchor(
            f"A3 {machines} machines, no places",
            "Hunt, Operations Research 4(6), 1956" if machines == 3 else "Markov chain",
            (reliable,) * machines,
            (0,) * (machines - 1),
            3_000_000 + 10_000 * n,
            Effort(replications, 3_000.0, 300.0),
            Effort(200, 100_000.0, 300.0),
            closed_form=22.0 / 39.0 if machines == 3 else None,
        )
    efforts = (
        (1, 200, 1_500.0, 1),
        (2, 200, 1_500.0, 1),
        (4, 200, 2_500.0, 2),
        (10, 400, 3_500.0, 3),
    )
    for n, (room, replications, length, grain) in enumerate(efforts):
        yield Anchor(
            f"A4 three machines, {room} places",
            "Markov chain",
            (reliable,) * 3,
            (room,) * 2,
            4_000_000 + 10_000 * n,
            Effort(replications, length, 300.0),
            Effort(200, 100_000.0, 300.0),
            grain=grain,
        )


BOWLS = {0: 1.08553, 1: 1.05920, 2: 1.04414}
"""Work of the outer machines at which the line is fastest, by the places between the machines."""


def _bowls() -> Iterator[Anchor]:
    for n, (room, outer) in enumerate(BOWLS.items()):
        yield Anchor(
            f"A5 bowl, {room} places",
            "Markov chain",
            bowl(outer),
            (room,) * 2,
            5_000_000 + 10_000 * n,
            Effort(200, 2_000.0, 300.0),
            Effort(200, 100_000.0, 300.0),
        )


def _unreliable() -> Iterator[Anchor]:
    machine = exponential(1.0, 0.01, 0.1)
    for n, room in enumerate((0, 2, 4, 10)):
        yield Anchor(
            f"A6 two unreliable machines, {room} places",
            "Markov chain",
            (machine,) * 2,
            (room,),
            6_000_000 + 10_000 * n,
            Effort(300, 3_500.0, 700.0),
            Effort(200, 300_000.0, 700.0),
        )
    for n, room in enumerate((2, 10)):
        yield Anchor(
            f"A6b two unlike unreliable machines, {room} places",
            "Markov chain",
            (exponential(2.0, 0.1, 0.5), exponential(1.5, 0.05, 0.4)),
            (room,),
            6_100_000 + 10_000 * n,
            Effort(250, 3_000.0, 700.0),
            Effort(200, 140_000.0, 700.0),
        )
    for n, (room, length, grain) in enumerate(((2, 4_000.0, 1), (8, 5_000.0, 4))):
        yield Anchor(
            f"A6c three unreliable machines, {room} places",
            "Markov chain",
            (machine,) * 3,
            (room,) * 2,
            6_200_000 + 10_000 * n,
            Effort(500, length, 700.0),
            Effort(200, 280_000.0, 700.0),
            grain=grain,
        )


def _fluid() -> Iterator[Anchor]:
    machine = Machine(UNIT_S / SPLIT, None, UNIT_S / 0.01, UNIT_S / 0.1)
    efforts = (
        (0, 100, 4_000.0, 240_000.0, 1),
        (5, 200, 4_000.0, 220_000.0, 5),
        (10, 200, 5_000.0, 190_000.0, 5),
        (50, 250, 8_000.0, 130_000.0, 16),
    )
    for n, (room, replications, length, compiled, grain) in enumerate(efforts):
        yield Anchor(
            f"A7 fluid line, room for {room} units",
            "two machines alike: Zimmern, and Gershwin and Schick; derived anew",
            (machine,) * 2,
            (room * SPLIT,),
            7_000_000 + 10_000 * n,
            Effort(replications, length, 1_500.0),
            Effort(200, compiled, 1_500.0),
            closed_form=fluid_line(0.01, 0.1, room),
            is_chain=False,
            split=SPLIT,
            grain=grain,
        )


def _sleepers() -> Iterator[Anchor]:
    efforts = (
        (1, 2.0, 100, 270_000.0),
        (3, 2.0, 150, 400_000.0),
        (6, 2.0, 200, 450_000.0),
        (1, 0.0, 100, 550_000.0),
    )
    for n, (wakes_at, set_up, replications, compiled) in enumerate(efforts):
        yield Anchor(
            f"A9 wakes at {wakes_at}, set-up {set_up:g}",
            "renewal reward",
            (exponential(0.5), Machine(UNIT_S, wakes_at=wakes_at, warm_up_s=set_up * UNIT_S)),
            (100,),
            9_000_000 + 10_000 * n,
            Effort(replications, 4_000.0, 300.0),
            Effort(200, compiled, 300.0),
            closed_form=sleeper_kw(0.5, wakes_at, set_up),
            is_chain=False,
            figure="power",
        )
