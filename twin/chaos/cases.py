"""The fault table: every case by its number."""

from __future__ import annotations

from dataclasses import replace

from twin.chaos.case import Case
from twin.chaos.soak import soak
from twin.chaos.table_control import CONTROL
from twin.chaos.table_disk import DISK
from twin.chaos.table_network import NETWORK
from twin.chaos.table_process import PROCESS
from twin.chaos.table_sensor import SENSOR
from twin.chaos.table_server import SERVER

TABLE: tuple[Case, ...] = tuple(
    sorted((*SENSOR, *NETWORK, *SERVER, *CONTROL, *DISK, *PROCESS), key=lambda case: case.number)
)
SOAK = 33


def with_soak(table: tuple[Case, ...], soak_s: float) -> tuple[Case, ...]:
    """The table with a soak of another length, seconds of the wall."""
    title = f"soak at 20 times real time: {soak_s:.0f} s in the place of 8 h"
    return tuple(
        replace(case, title=title, play=soak(soak_s)) if case.number == SOAK else case
        for case in table
    )
