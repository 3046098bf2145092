"""What one shift costs at least, by the objective, whoever drives: a linear programme with all luck known.

The plant is the true one, and failures, bad parts, edges, orders, prices and disturbances are those that
come. Each simplification lets the programme do more than the line can, or charges less, so its least cost
lies below that of every course of the line:

- *Parts are amounts.* Each station may work on fractions of a part; none gets ahead of the one before it, and
  none is fed faster than the fastest takt. Room between stations is not limited. Whole parts in whole places
  are a special case.
- *Setpoints mix freely.* Cycle time, electricity and wear lie above planes below the process model
  (``controllers.envelope``), at the most favourable wear and disturbances of the shift.
- *Sleep is a share.* A station may be asleep for a part of each quarter of an hour. Who wakes pays for the fall
  of that share from one quarter to the next: averages fall by no more than there were wakings. A waking takes
  no time beyond the sleep; its electricity is charged by its excess over standby, for the shorter of the true
  warm-up and that of the plant file. What is owed at the end is charged the same way.
- *Failures strike on average.* Time down lies above the hull below the steps of the known failures, counted in
  working time; failures by the calendar and changes of edges cost no time.
- *Edges are charged below their count*: lives by the hull above the known ones, one part's wear in favour of
  each, and ``NOISE`` standard deviations of the gauge.
- *Scrap* is what is bad at the best setpoints, counted where parts keep their order; else none.
- *Prices*: the electricity of a quarter at the lowest price in and about it, heat at the lowest of all; the
  demand charge by whole quarters.

Lines of which this does not hold are refused with ``NoBoundError`` (``controllers.row_of_stations``).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from controllers.envelope import Envelope
from controllers.realised_luck import Lines, doomed_lines, down_lines, edge_lines
from controllers.row_of_stations import BLOCK_S, NoBoundError, Shift, Station, known_shift
from twin.optim.milp import MilpProblem
from twin.optim.result import Status

__all__ = ["NoBoundError", "least_cost_eur"]

NOISE = 9.0
"""Standard deviations of the tool gauge that no draw exceeds."""
SAFETY = 1e-6
"""Share of the found cost that is taken off for the solver's tolerances."""


def least_cost_eur(
    plant_name: str, utilisation: float, variant: str, scenario: str, seed: int, hours: float
) -> float:
    """A lower bound of the objective of one shift, EUR. Deterministic.

    Raises ``NoBoundError`` with the reason where this plant or scenario has none.
    """
    programme = _Programme(known_shift(plant_name, utilisation, variant, scenario, seed, hours))
    solution = programme.problem.solve()
    if solution.status is not Status.SOLVED:
        raise NoBoundError(f"the programme found no least cost: {solution.reason}")
    cost = float(solution.objective) + programme.constant_eur
    return cost - SAFETY * abs(cost)


@dataclass(slots=True)
class _Course:
    """Variables of one station: sums at the end of each block, and its share asleep in it."""

    station: Station
    envelope: Envelope
    parts: range
    work_s: range
    energy_kwh: range
    wear: range
    down_s: range
    asleep: range


class _Programme:
    """The linear programme of one shift."""

    def __init__(self, shift: Shift) -> None:
        self.shift, self.problem = shift, MilpProblem()
        self.ends_s = np.cumsum(shift.lengths_s)
        self.constant_eur = shift.objective.backlog_eur_per_part * shift.ordered
        self.load_kwh: list[dict[int, float]] = [{} for _ in shift.lengths_s]
        self.ready_kwh = np.zeros(len(shift.lengths_s))
        self.stages = [[self._course(station) for station in stage] for stage in shift.stages]
        self._stocks()
        self._flow()
        self._scrapped()
        self._tools()
        self._electricity()

    def _course(self, station: Station) -> _Course:
        """The hours of a station, block by block."""
        problem, lengths_s = self.problem, self.shift.lengths_s
        course = _Course(
            station,
            Envelope(station.cell, station.disturbances, station.drifts, self.shift.hours),
            self._sums(),
            self._sums(),
            self._sums(),
            self._sums(),
            self._sums(),
            problem.add_variables(len(lengths_s), hi=1.0 if station.can_sleep else 0.0),
        )
        planes = course.envelope.planes()
        until_s = float(self.ends_s[-1])
        shift, e = self.shift, station.cell.e
        hull, most_s = down_lines(shift.line, shift.seed, e, shift.least_failure_rate, until_s)
        problem.add_constraint({course.work_s[-1]: 1.0}, hi=most_s)
        for k, length_s in enumerate(lengths_s):
            for cycle, energy, wear, least in planes:
                row = _grown(course.work_s, k, cycle) | _grown(course.energy_kwh, k, energy)
                row |= _grown(course.wear, k, wear) | _grown(course.parts, k, -least)
                problem.add_constraint({at: by for at, by in row.items() if by}, lo=0.0)
            time = _grown(course.work_s, k) | _grown(course.down_s, k)
            problem.add_constraint({**time, course.asleep[k]: length_s}, hi=length_s)
            for slope, intercept in hull:
                row = {course.down_s[k]: 1.0, course.work_s[k]: -slope}
                problem.add_constraint(row, lo=intercept)
            self._drawn(course, k)
        self._wakings(course)
        return course

    def _sums(self) -> range:
        """A sum at the end of each block, which never falls."""
        sums = self.problem.add_variables(len(self.shift.lengths_s))
        for before, after in pairwise(sums):
            self.problem.add_constraint({after: 1.0, before: -1.0}, lo=0.0)
        return sums

    def _drawn(self, course: _Course, k: int) -> None:
        """Electricity of a block: as if ready all the time, and what work and sleep change in that."""
        cell, length_h = course.station.cell, self.shift.lengths_s[k] / 3600.0
        self.ready_kwh[k] += cell.idle_kw * length_h
        self.load_kwh[k] |= _grown(course.energy_kwh, k)
        self.load_kwh[k] |= _grown(course.work_s, k, -cell.idle_kw / 3600.0)
        self.load_kwh[k][course.asleep[k]] = (cell.standby_kw - cell.idle_kw) * length_h

    def _wakings(self, course: _Course) -> None:
        """Whose share asleep falls has woken; who is asleep at the end owes the same."""
        problem, asleep = self.problem, course.asleep
        eur = course.station.waking_kwh * float(self.shift.prices_eur_per_kwh.min())
        at_end = problem.add_variable(hi=1.0, cost=eur)
        for before, after in zip(asleep, [*asleep[1:], at_end], strict=True):
            woken = problem.add_variable(cost=eur)
            problem.add_constraint({woken: 1.0, before: -1.0, after: 1.0}, lo=0.0)

    def _stocks(self) -> None:
        """Good parts, scrap and what is left inside, with what each costs or brings."""
        shift, objective, problem = self.shift, self.shift.objective, self.problem
        added_kg = sum(
            min(course.envelope.least.material_kg for course in courses) for courses in self.stages
        )
        kg_eur, blank_eur = (
            objective.material_eur_per_kg,
            objective.material_eur_per_kg * shift.blank_kg,
        )
        good_eur = blank_eur + added_kg * kg_eur + objective.tool_budget_eur_per_part
        scrap_eur = blank_eur - objective.scrap_eur_per_kg * shift.blank_kg
        self.good = problem.add_variable(
            hi=shift.ordered, cost=good_eur - objective.backlog_eur_per_part
        )
        self.scrap = problem.add_variable(cost=scrap_eur)
        self.inside = problem.add_variable(
            hi=shift.places, cost=blank_eur - objective.wip_eur_per_part
        )
        wanted = {self.good: 1.0, self.inside: 1.0}
        problem.add_constraint(wanted, hi=shift.ordered)
        released = 1.0 + self.ends_s[-1] / shift.takt_least_s
        problem.add_constraint({**wanted, self.scrap: 1.0}, hi=released)

    def _flow(self) -> None:
        """No station gets ahead of those before it, nor the first of the source."""
        for k, end_s in enumerate(self.ends_s):
            first = {course.parts[k]: 1.0 for course in self.stages[0]}
            self.problem.add_constraint(first, hi=1.0 + end_s / self.shift.takt_least_s)
            for before, after in pairwise(self.stages):
                row = {course.parts[k]: -1.0 for course in before}
                row |= {course.parts[k]: 1.0 for course in after}
                self.problem.add_constraint(row, hi=0.0)

    def _scrapped(self) -> None:
        """Good parts have passed every station, doomed ones the way to the one that dooms them."""
        lines: list[Lines] = [((0.0, 0.0),)] * len(self.stages)
        if all(len(courses) == 1 for courses in self.stages):
            firsts = [courses[0] for courses in self.stages]
            least = [(one.station.cell.e, one.envelope.least.defects) for one in firsts]
            lines = doomed_lines(self.shift.seed, least, max(int(self.shift.ordered), 1))
        for slope, intercept in lines[0]:
            self.problem.add_constraint({self.scrap: 1.0, self.good: -slope}, lo=intercept)
        for courses, own in zip(self.stages, lines, strict=True):
            worked = {course.parts[-1]: 1.0 for course in courses}
            for slope, intercept in own:
                row = {**worked, self.good: -1.0 - slope}
                self.problem.add_constraint(row, lo=intercept)

    def _tools(self) -> None:
        """Edges by their known lives; beyond the budget their price is multiplied."""
        objective, problem = self.shift.objective, self.problem
        excess_eur = problem.add_variable(cost=objective.tool_excess_factor)
        row = {excess_eur: 1.0, self.good: objective.tool_budget_eur_per_part}
        favour_eur = 0.0
        for course in (course for courses in self.stages for course in courses):
            cell, part = course.station.cell, course.envelope.most_wear
            if cell.edge_eur <= 0.0:
                continue
            edges = problem.add_variable()
            most = part * (2.0 + self.ends_s[-1] / self.shift.takt_least_s)
            for slope, intercept in edge_lines(self.shift.line, self.shift.seed, cell.e, most):
                worn = {course.wear[-1]: 1.0, edges: -slope - part}
                problem.add_constraint(worn, hi=intercept + part)  # and one part's work not done
            row[edges] = -cell.edge_eur
            favour_eur += cell.edge_eur * 2.0 * NOISE * course.station.gauge_sd
        problem.add_constraint(row, lo=-favour_eur)

    def _electricity(self) -> None:
        """Each block at its price, and the demand charge of the highest whole quarter of an hour."""
        shift, costs = self.shift, dict[int, float]()
        peak_kw = self.problem.add_variable(cost=shift.objective.peak_eur_per_kw)
        for k, load_kwh in enumerate(self.load_kwh):
            price = float(shift.prices_eur_per_kwh[k])
            self.constant_eur += price * float(self.ready_kwh[k])
            for column, kwh in load_kwh.items():
                costs[column] = costs.get(column, 0.0) + price * kwh
            if shift.quarters_are_metered and shift.lengths_s[k] == BLOCK_S:
                row = {column: -4.0 * kwh for column, kwh in load_kwh.items()}
                ready_kw = 4.0 * float(self.ready_kwh[k]) + float(shift.site_kw[k])
                self.problem.add_constraint({peak_kw: 1.0, **row}, lo=ready_kw)
        self.problem.set_costs(costs)


def _grown(sums: range, k: int, weight: float = 1.0) -> dict[int, float]:
    """How much a sum has grown in a block."""
    return {sums[k]: weight} if k == 0 else {sums[k]: weight, sums[k - 1]: -weight}
