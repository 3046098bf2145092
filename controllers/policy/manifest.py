"""What a policy bundle says of itself: for which plant, how it was trained, how far it may act.

The text is JSON with sorted keys; an unknown or missing key, a wrong type and a number that is not finite
are refused, and so is any other spelling of the same manifest: one manifest, one text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from twin.config.policy_behaviour import behaviour_sha256
from twin.config.values import Name, NotNegative, Positive, Sha256, Spec
from twin.store.run_folder import stable_json

Number = bool | int | float | str | None


class Approval(StrEnum):
    """How far a policy may act; each step needs the one before.

    DRAFT drives in simulations alone. SHADOW decides beside the fallback, which drives: what it would have
    asked is on record. ADVISORY is shown to the operator, and nothing is written. CLOSED may drive.
    """

    DRAFT = "draft"
    SHADOW = "shadow"
    ADVISORY = "advisory"
    CLOSED = "closed"


class FieldSpec(Spec):
    """One number that a policy sees or asks for, in its engineering unit."""

    name: str
    unit: str
    lo: float
    hi: float
    lag_s: NotNegative
    """How much older than the observation the value is at least."""


class SchemaSpec(Spec):
    """What goes in and what comes out, in this order, and the digests that an environment gives them."""

    observation: tuple[FieldSpec, ...]
    action: tuple[FieldSpec, ...]
    version: str
    """Of the environment that packs the observation and reads the action."""
    digest: str


class RangeSpec(Spec):
    """Where the policy was trained, in engineering units, one entry an observed number.

    ``distance_limit`` bounds the Mahalanobis distance from ``mean`` under ``covariance``, of which each row
    goes up to the diagonal.
    """

    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    distance_limit: Positive
    samples: int
    of_shown: bool = False
    """Whether the sample was of what is shown. Else of what is scaled, which stops at the declared limits: then
    what is compared with it does too."""


class CheckSpec(Spec):
    """Observations and what the policy asks for in each: replayed whenever the bundle is loaded."""

    observations: tuple[tuple[float, ...], ...]
    actions: tuple[tuple[float, ...], ...]


class Step(Spec):
    """One entry of the history of approval: who set which state, when and why."""

    state: Approval
    who: str
    reason: str
    utc: str


class TrainingSpec(Spec):
    """How the policy came about, complete enough to be done again."""

    environment: str
    algorithm: str
    hyperparameters: dict[str, Number]
    seeds: tuple[int, ...]
    steps: int
    threads: int
    versions: dict[str, str]
    git_commit: str
    """Of the source; empty where it was not known."""


class RoleSpec(Spec):
    """How the policy is used at run time.

    ``base`` names the controller to whose setpoints the policy adds, by at most ``authority``, a share of
    half an action's range; without one they stand alone. Outside the training range the ``fallback`` takes over,
    until ``return_after`` decisions in a row were inside it again: where none is named the base, which has driven
    all along, or `fixed`. ``held`` are setpoints that the policy does not decide, as they were in training; what
    neither names is at the recipe.
    """

    decision_period_s: Positive
    base: Name | None = None
    authority: Positive = 1.0
    fallback: Name | None = None
    return_after: int = 10
    held: Mapping[str, float] = {}

    @property
    def stand_in(self) -> str:
        """The controller that takes over."""
        return self.fallback or self.base or "fixed"


class FactsSpec(Spec):
    """What training knows of a policy: all but what the export finds out."""

    plant: Name
    plant_hash: str
    spaces: SchemaSpec
    role: RoleSpec
    training: TrainingSpec
    evaluation: Mapping[str, Number] = {}
    """Figures from the evaluation that speaks for it, by name; empty for a draft nobody has judged."""


class Manifest(FactsSpec):
    """The manifest of one bundle."""

    format: Literal[1] = 1
    training_range: RangeSpec
    parity: NotNegative
    """Largest difference between the exported graph and the trained network, as a share of an action's range."""
    model_sha256: Sha256
    check_vector: CheckSpec
    approvals: tuple[Step, ...] = ()
    """Oldest first; the last one is in force."""

    @property
    def state(self) -> Approval:
        """How far it may act now."""
        return self.approvals[-1].state if self.approvals else Approval.DRAFT

    @property
    def behaviour(self) -> str:
        """Digest of what it does, whoever let it: the same in all states of approval."""
        return behaviour_sha256(self._data())

    def text(self) -> str:
        """The one text of this manifest."""
        return stable_json(self._data(), "manifest")

    def _data(self) -> dict[str, Any]:
        """As JSON has it. Manifests older than ``of_shown`` have no such entry, and keep their text."""
        found = self.model_dump(mode="json")
        if not self.training_range.of_shown:
            del found["training_range"]["of_shown"]
        return found


def read_manifest(text: str) -> Manifest:
    """The manifest that a text holds. Raises ``ValueError`` saying where it is wrong."""
    found = Manifest.model_validate_json(text, strict=True)
    if found.text() != text:
        raise ValueError("the manifest is not written as it was exported")
    _check_spaces(found.spaces)
    _check_range(found.training_range, len(found.spaces.observation))
    _check_vector(found)
    if decided := set(found.role.held) & {field.name for field in found.spaces.action}:
        raise ValueError(f"role.held: {min(decided)} is decided by the policy")
    if found.role.return_after < 1:
        raise ValueError("role.return_after must be at least 1")
    return found


def middle_of(fields: Iterable[FieldSpec]) -> NDArray[np.float64]:
    """The middle of each declared range."""
    return np.array([0.5 * (field.lo + field.hi) for field in fields])


def half_of(fields: Iterable[FieldSpec]) -> NDArray[np.float64]:
    """Half of each declared range."""
    return np.array([0.5 * (field.hi - field.lo) for field in fields])


def outward(found: FactsSpec) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The middle and half the range of what a policy asks for: setpoints, or offsets from those of its base."""
    fields, role = found.spaces.action, found.role
    if role.base is None:
        return middle_of(fields), half_of(fields)
    return np.zeros(len(fields)), role.authority * half_of(fields)


def _check_spaces(spaces: SchemaSpec) -> None:
    for side in (spaces.observation, spaces.action):
        if not side or len({field.name for field in side}) != len(side):
            raise ValueError(
                "spaces: something is seen and something asked for, each by its own name"
            )
        for field in side:
            if not field.lo <= field.hi:
                raise ValueError(f"spaces: {field.name}: lo lies above hi")


def _check_range(ranges: RangeSpec, inputs: int) -> None:
    rows = (ranges.lowest, ranges.highest, ranges.mean, ranges.covariance)
    lengths = [len(row) for row in ranges.covariance]
    if any(len(row) != inputs for row in rows) or lengths != list(range(1, inputs + 1)):
        raise ValueError(f"training_range: needs {inputs} entries, one for each observed number")
    if not all(lo <= hi for lo, hi in zip(ranges.lowest, ranges.highest, strict=True)):
        raise ValueError("training_range: lowest lies above highest")


def _check_vector(found: Manifest) -> None:
    check, spaces = found.check_vector, found.spaces
    if not check.observations or len(check.observations) != len(check.actions):
        raise ValueError("check_vector: as many actions as observations, and at least one")
    for rows, width in (
        (check.observations, len(spaces.observation)),
        (check.actions, len(spaces.action)),
    ):
        if any(len(row) != width for row in rows):
            raise ValueError(f"check_vector: a row has not {width} numbers")
