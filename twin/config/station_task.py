"""What the MPC of a continuous station is to do, where the plant file says more than its sensors do."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from twin.config.values import Name, NotNegative, Positive, Spec

Steps = Annotated[int, Field(ge=1, le=200)]


class StationTaskSpec(Spec):
    """Targets, rhythm and caution of one continuous station's MPC; what is left out is derived.

    Qualities with a band are kept in it whether or not this is written. See docs/how-to/station-mpc.md.
    """

    targets: dict[Name, float] = {}
    """What measured values are to follow, by the name they are shown under, each in its unit."""
    moves: tuple[Name, ...] = ()
    """The setpoints that it may move; none named: all but the discrete ones."""
    learns: dict[Annotated[str, Field(pattern=r"^(bias\.)?[a-z][a-z0-9_]*$")], Positive] = {}
    """Disturbances that are learned, and by how much each changes in a step (standard deviation):
    a setpoint, disturbance or parameter of the process model, or ``bias.VALUE``."""
    step_s: Positive | None = None
    """Time from one solve to the next, a whole number of periods of the loop."""
    horizon: Steps = 20
    blocks: tuple[Steps, ...] = ()
    """Lengths, in steps, of stretches in which setpoints stay."""
    back_off_sd: NotNegative = 2.0
    """Bands are kept clear by so many standard deviations of what is not known of the values ahead."""
