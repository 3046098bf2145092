"""The three control problems: what is wanted of each reactor, and how its plant differs from the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.reactors import batch, polymerisation, stirred
from twin.optim.task import Aim, Band, Move, TrackingTask

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Problem:
    """A task, the setpoints in force at the start, and what seeds decide of a course.

    ``unsure`` names the plant's parameters that are off by up to ``off`` of their value; ``start``
    is the relative spread of the states named in ``spread``; ``references`` are the limits between
    which set points are drawn.
    """

    name: str
    task: TrackingTask
    u: tuple[float, ...]
    steps: int
    plant_step_s: float
    unsure: tuple[str, ...]
    off: float
    spread: tuple[str, ...]
    start: float
    references: tuple[float, float] | None = None

    def plant(self, rng: Generator) -> Floats:
        """Parameters of a plant that is not quite the model."""
        names = [q.name for q in self.task.model.parameters]
        p = self.task.model.point().p.copy()
        for name in self.unsure:
            p[names.index(name)] *= 1.0 + rng.uniform(-self.off, self.off)
        return p

    def first(self, rng: Generator) -> Floats:
        """The state that a course starts from."""
        names = [q.name for q in self.task.model.states]
        x = self.task.model.point().x.copy()
        for name in self.spread:
            x[names.index(name)] *= 1.0 + rng.uniform(-self.start, self.start)
        return x


PROBLEMS = (
    Problem(
        "cstr",
        TrackingTask(
            stirred.MODEL,
            stirred.STEP_S,
            stirred.HORIZON,
            moves=(
                Move("feed_per_h", 5.0, 100.0, weight=1e-3),
                Move("heat_kj_per_h", -8500.0, 0.0, weight=1e-7),
            ),
            aims=(Aim("b_mol_per_l", 100.0),),
            bands=(Band("temperature_c", hi=stirred.SOFT_C, weight=10.0),),
        ),
        u=(50.0, -1000.0),
        steps=90,
        plant_step_s=1.8,
        unsure=("k0_ab",),
        off=0.05,
        spread=("c_a", "c_b", "reactor_c", "jacket_c"),
        start=0.03,
        references=(0.5, 0.75),
    ),
    Problem(
        "polymerisation",
        TrackingTask(
            polymerisation.MODEL,
            polymerisation.STEP_S,
            polymerisation.HORIZON,
            moves=(
                # do-mpc's example: 0.002 of a squared move of 100 kg/h, 0.004 and 0.002 of a kelvin.
                Move("feed_kg_per_h", 0.0, 30000.0, weight=2e-7),
                Move("jacket_in_k", 333.15, 373.15, weight=4e-3),
                Move("exchanger_in_k", 333.15, 373.15, weight=2e-3),
            ),
            bands=(
                Band("temperature_k", *polymerisation.BAND_K, weight=1e4),
                Band("runaway_k", hi=polymerisation.SAFE_K, weight=1e4),
                Band("fed_total_kg", hi=30000.0, weight=10.0),
            ),
            prices={"product_kg": -1.0},
        ),
        u=(0.0, 353.15, 353.15),
        steps=60,
        plant_step_s=0.25,
        unsure=("reaction_kj_per_kg", "rate_k0"),
        off=0.05,
        spread=("water_kg", "monomer_kg"),
        start=0.03,
    ),
    Problem(
        "batch",
        TrackingTask(
            batch.MODEL,
            batch.STEP_S,
            batch.HORIZON,
            moves=(Move("feed_l_per_min", 0.0, 0.2, weight=1.0),),
            bands=(
                Band("biomass_g_per_l", hi=batch.BIOMASS_MOST, weight=100.0),
                Band("product_g_per_l", hi=batch.PRODUCT_MOST, weight=100.0),
                Band("substrate_g_per_l", lo=batch.SUBSTRATE_LEAST, weight=100.0),
            ),
            prices={"product_g_per_l": -1.0},
        ),
        u=(0.0,),
        steps=90,
        plant_step_s=3.0,
        unsure=("biomass_yield", "feed_g_per_l"),
        off=0.05,
        spread=("biomass", "substrate"),
        start=0.03,
    ),
)
