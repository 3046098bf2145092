"""What a bundle is worth before anybody lets it drive: against the tuned constants, with the same luck.

It drives shifts from the first of those on which constants are chosen, none of which is among an evaluation's. It is a quick look for whoever trains: the loop, all controllers and the verdicts are
`twin evaluate`'s.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from controllers.env.worlds import Kind
from controllers.policy.bundle import Bundle
from controllers.policy.manifest import outward
from controllers.policy.network import Network
from controllers.training.lines import engineering, training_lines
from controllers.training.settings import Settings
from controllers.tuning import SELECTION_SEEDS
from twin.config import TunedPoint, find_plant
from twin.feedback.study.intervals import interval


def judged(bundle: Bundle, plant: str, settings: Settings, fixed: TunedPoint) -> dict[str, Any]:
    """What each shift has saved, on average and with a 95 % interval, EUR.

    On the true line where the plant has one, else on the nominal one.
    """
    count, first_seed = settings.judged_shifts, SELECTION_SEEDS[0]
    path = find_plant(plant)
    world: Kind = "true" if path.with_name(f"{path.stem}.truth.yaml").is_file() else "nominal"
    manifest = bundle.manifest
    network = Network(bundle.model, manifest, "the bundle that was trained")
    # Offsets count from the base; by itself a policy asks from the middle of each range.
    centre, reach = outward(manifest)
    authority = None if manifest.role.base is None else 0.5 * manifest.role.authority
    lines = training_lines(
        plant, count, settings.model_copy(update={"paired": True}), fixed,
        authority=authority, world=world,
    )  # fmt: skip
    lines.seed(first_seed)
    observation, over = lines.reset(), np.zeros(count, dtype=np.bool_)
    saved = np.full(count, np.nan)
    while not over.all():
        asked = network.act(engineering(lines.schema, observation))
        observation, _, ended, infos = lines.step(((asked - centre) / reach).astype(np.float32))
        for n in np.flatnonzero(ended & ~over).tolist():
            saved[n] = infos[n]["saved_eur"]
        over |= ended
    found = interval(saved.tolist())
    return {
        "against": "fixed",
        "world": world,
        "first_seed": first_seed,
        "shifts": count,
        "saved_eur_per_shift": found.mean,
        "saved_eur_half_width": found.half_width,
    }
