"""What is chosen about a training run, as data: the defaults here, and ``PLANT.training.json`` beside a plant.

The file holds, by the name of a part, what differs for that plant; an unknown name or a wrong type is
refused. Values without a source are assumptions; they were not searched unless the file says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from twin.config import PlantError, find_plant
from twin.config.values import AtLeastOne, BelowHalf, NotNegative, Positive, Spec, UpToOne


class PpoSpec(Spec):
    """Proximal policy optimisation (Schulman et al., arXiv 1707.06347), as stable-baselines3 has it.

    A round is ``rollout`` decisions of each line, a whole shift where it is None: lines begin their shifts
    together, and a part of a shift would teach the morning and forget the evening. It is gone through
    ``epochs`` times in ``batches`` (a divisor of the lines), of about 2,000 decisions: ten times the steps per
    CPU second of the usual 64, measured. ``gamma`` is near 1, since an order missed early is paid for all shift
    long. ``spread`` is the standard deviation of the first tries, in half ranges. With ``hold`` a try is not drawn
    anew at each decision but is a function of what is seen, drawn for so many decisions (Raffin, Kober and Stulp,
    arXiv 2005.05719): an oven averages away what changes each minute. ``spread`` is then that of the weights of
    the function. The rest are the library's defaults.
    """

    lines: AtLeastOne = 64
    rollout: AtLeastOne | None = None
    batches: AtLeastOne = 16
    epochs: AtLeastOne = 10
    learning_rate: Positive = 3e-4
    gamma: UpToOne = 0.999
    gae_lambda: UpToOne = 0.95
    clip: Positive = 0.2
    entropy: NotNegative = 0.0
    value_weight: Positive = 0.5
    largest_gradient: Positive = 0.5
    network: tuple[AtLeastOne, ...] = (64, 64)
    spread: Positive = 0.3
    hold: AtLeastOne | None = None


class SacSpec(Spec):
    """Soft actor-critic (Haarnoja et al., arXiv 1812.05905), as stable-baselines3 has it.

    Four gradient steps for each decision of 64 lines: one for each decision would cost ten times the CPU,
    measured. ``kept`` decisions are remembered. The networks are smaller than the library's 256 x 256,
    which cost twice the CPU.
    """

    lines: AtLeastOne = 64
    kept: AtLeastOne = 200_000
    begin_after: AtLeastOne = 8_192
    batch: AtLeastOne = 256
    gradient_steps: AtLeastOne = 4
    learning_rate: Positive = 3e-4
    gamma: UpToOne = 0.999
    tau: UpToOne = 0.005
    network: tuple[AtLeastOne, ...] = (64, 64)


class ResidualSpec(Spec):
    """What a residual is added to, and how much: at most ``authority``, a share of each setpoint's range, either way."""

    base: Literal["fixed", "mpc"] = "fixed"
    authority: UpToOne = 0.15


class PlainSpec(Spec):
    """What plain reinforcement learning begins as: the tuned constants, or a clone of the MPC (by ``cloning``).

    A clone knows what is far from the constants and pays, but not how near the edge it may go: one that is a little
    wrong makes scrap. Learning on from it by trying is cheaper than finding it (as Nair et al., arXiv 1709.10089,
    begin from demonstrations). It takes PPO, and a clone's network of the same shape.
    """

    begin: Literal["fixed", "mpc"] = "fixed"


class CloningSpec(Spec):
    """Behaviour cloning with DAgger (Ross, Gordon and Bagnell, AISTATS 2011).

    The MPC drives the shifts of the first round; in later ones the clone does, and the MPC says what it
    would have asked for. After each round the network learns all that was said so far.

    A clone is a little wrong, and an MPC goes near the edges of what is good: there a little is a part scrapped.
    A teacher that keeps ``clear`` of either edge of each quality band, by this share of it, has a clone whose
    errors cost energy instead.
    """

    clear: BelowHalf = 0.0
    rounds: AtLeastOne = 4
    shifts: AtLeastOne = 4
    epochs: AtLeastOne = 300
    batch: AtLeastOne = 256
    learning_rate: Positive = 1e-3
    network: tuple[AtLeastOne, ...] = (64, 64)


class WorldsSpec(Spec):
    """Which worlds are trained in, see ``controllers.env.worlds``: as the plant file has it where empty."""

    scenarios: tuple[str, ...] = ("nominal",)
    utilisation: tuple[Positive, Positive] | None = None


class Settings(Spec):
    """All of it.

    ``paired``: what `fixed` costs with the same luck is taken off each reward. ``effort`` is the price of being
    away from `fixed`, for each decision and setpoint the square of the share of the way that is allowed: in most
    situations nothing is to be gained, luck alone would lead away, and scrap would pay for it; a hundredth of an
    order's price is little against what a late line gains (assumption). ``judged_shifts``: on so many
    each policy is compared with `fixed` in the end; a shift's saving scatters by some EUR, mostly by scrap.
    """

    worlds: WorldsSpec = WorldsSpec()
    paired: bool = True
    effort: NotNegative = 0.01
    judged_shifts: AtLeastOne = 240
    ppo: PpoSpec = PpoSpec()
    sac: SacSpec = SacSpec()
    rl: PlainSpec = PlainSpec()
    residual: ResidualSpec = ResidualSpec()
    cloning: CloningSpec = CloningSpec()
    note: str = ""
    """Where the numbers come from, for people."""

    def algorithm(self, name: Literal["ppo", "sac"]) -> PpoSpec | SacSpec:
        """The settings of one algorithm."""
        return self.ppo if name == "ppo" else self.sac

    def changed(self, changes: Mapping[str, Mapping[str, Any]]) -> Settings:
        """The same with other numbers, by part and name. Raises ``ValueError`` for those that cannot be."""
        data = self.model_dump(mode="json")
        for part, values in changes.items():
            data[part] = {**data[part], **values}
        return _read(json.dumps(data))


def settings_path(plant_file: Path) -> Path:
    """Where the settings of a plant are."""
    return plant_file.with_name(f"{plant_file.stem}.training.json")


def settings_of(name_or_path: str) -> Settings:
    """The settings for a plant. Raises ``PlantError`` for a file that holds none."""
    path = settings_path(find_plant(name_or_path))
    if not path.is_file():
        return Settings()
    try:
        return _read(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        faults = getattr(error, "errors", None)
        told = (
            f"{'.'.join(map(str, faults()[0]['loc']))}: {faults()[0]['msg']}" if faults else error
        )
        hint = "correct it, or remove it: the defaults do"
        raise PlantError(
            (), f"holds no settings for training: {told}", hint, file=str(path)
        ) from error


def _read(text: str) -> Settings:
    """Settings from JSON. Raises ``ValueError`` for what are none."""
    found = Settings.model_validate_json(text, strict=True)
    if found.ppo.lines % found.ppo.batches:
        raise ValueError(f"ppo: {found.ppo.batches} batches do not divide {found.ppo.lines} lines")
    if found.rl.begin == "mpc" and found.ppo.network != found.cloning.network:
        raise ValueError(
            "rl: what begins as a clone has its network: make those of ppo and cloning one"
        )
    if not found.worlds.scenarios:
        raise ValueError("worlds: no scenario is named")
    return found
