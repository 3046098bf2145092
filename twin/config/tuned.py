"""What searches have found for a plant: ``X.fixed.json`` and ``X.rules.json`` beside ``X.yaml``.

The one holds the best constant setpoints, the other the best thresholds of each rule. What the searches tried on
the way lies in ``X.fixed.csv``, and in the second file itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from twin.config.errors import PlantError
from twin.config.plant import Plant
from twin.config.values import Name, Sha256, Spec


class PolicyFile(Spec):
    """A policy bundle that was found for a plant, and what may be done with it.

    ``use``: in a ``trial`` nothing real is moved, and any policy may drive; one that is to ``drive`` or to
    ``advise`` acts no further than it was approved for.
    """

    path: str
    """The file; in the record of a run relative to its folder."""
    sha256: Sha256
    """Of the whole file, in hex digits: another one under the same name is not what was found."""
    use: Literal["trial", "advise", "drive"] = "trial"
    keys: tuple[str, ...] = ()
    """Public keys that are trusted, as PEM."""
    must_be_signed: bool = False
    """Whether a signature by one of the keys is required."""
    patience_s: float = 0.0
    """Wall time after which a decision is too late; 0: no clock is asked, as in lockstep."""


class TunedPoint(Spec):
    """The winner of the search at one utilisation."""

    setpoints: dict[str, float]
    eur_per_part: float
    """Mean over the judging seeds."""
    tools_eur_per_part: float
    """Bare price of the edges used, mean over the judging seeds."""
    thresholds: dict[str, dict[str, float]] = {}
    """Of the rules, by rule, where those were tuned; they are kept in a file of their own."""
    policies: dict[str, PolicyFile] = {}
    """By controller; files of their own too."""


class RuleTrial(Spec):
    """One evaluated choice of a rule's thresholds."""

    thresholds: dict[str, float]
    eur_per_part: float


class TunedRule(Spec):
    """The winner of one rule at one utilisation, and the log of its search."""

    thresholds: dict[str, float]
    eur_per_part: float
    """Mean over the selection seeds."""
    log: tuple[RuleTrial, ...] = ()


class _Searched(Spec):
    """What a search was done on."""

    schema_version: int = Field(default=1, ge=1, le=1)
    plant: Name
    plant_hash: str
    variant: Name
    seeds: tuple[int, ...]
    selection_seeds: tuple[int, ...]
    evaluations: int = Field(ge=1)
    """At most so many points, or choices, at each utilisation."""
    versions: Mapping[str, str]

    def check(self, plant: Plant) -> None:
        """What was tuned for another plant file is no baseline."""
        if self.plant != plant.name:
            raise PlantError(("plant",), f"tuned for {self.plant!r}, not {plant.name!r}")
        if self.plant_hash != tuning_hash(plant):
            raise PlantError(
                ("plant_hash",),
                f"tuned for a plant file with hash {self.plant_hash}, this one has "
                f"{tuning_hash(plant)}",
                f"tune again: twin tune {plant.name}",
            )


class Tuned(_Searched):
    """The tuned setpoints of one plant and variant, by utilisation."""

    points: dict[str, TunedPoint]
    begins: tuple[dict[str, float], ...] = ()
    """Setpoints from the search that this one has replaced: it has looked at them too."""

    def at(self, utilisation: float) -> TunedPoint:
        """The point tuned for the nearest utilisation."""
        return self.points[nearest(self.points, utilisation)]


class TunedRules(_Searched):
    """The tuned thresholds of one plant and variant: by utilisation, then by rule."""

    points: dict[str, dict[str, TunedRule]]

    def at(self, utilisation: float) -> dict[str, dict[str, float]]:
        """Thresholds by rule, each tuned for the nearest utilisation."""
        point = self.points[nearest(self.points, utilisation)]
        return {rule: dict(found.thresholds) for rule, found in point.items()}


def tuning_hash(plant: Plant) -> str:
    """The hash of all that a search sees of a plant file: of its scenarios ``nominal`` alone."""
    seen = {name: spec for name, spec in plant.scenarios.items() if name == "nominal"}
    return plant.model_copy(update={"scenarios": seen}).config_hash


def nearest(points: Mapping[str, object], utilisation: float) -> str:
    """The key of the nearest utilisation."""
    return min(points, key=lambda key: (abs(float(key) - utilisation), key))


def untuned(plant: Plant) -> TunedPoint:
    """The recipe as it stands in the plant file, for plants that nobody has tuned yet."""
    setpoints = {"line.takt_s": plant.source.takt_s.start}
    for station in plant.stations:
        for name, spec in station.setpoints.items():
            setpoints[f"{station.name}.{name}"] = spec.start
        if station.standby:
            setpoints[f"{station.name}.standby_after_s"] = station.standby_after_s.start
    budget = float(plant.tooling.budget_eur_per_part) if plant.tooling is not None else 0.0
    return TunedPoint(setpoints=setpoints, eur_per_part=0.0, tools_eur_per_part=budget)
