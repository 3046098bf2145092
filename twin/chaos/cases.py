"""The fault table: every case by its number."""

from __future__ import annotations

from twin.chaos.case import Case
from twin.chaos.table_sensor import SENSOR
from twin.chaos.table_server import SERVER

TABLE: tuple[Case, ...] = tuple(sorted((*SENSOR, *SERVER), key=lambda case: case.number))


def with_soak(table: tuple[Case, ...], soak_s: float) -> tuple[Case, ...]:
    """The table with a soak of another length."""
    return table
