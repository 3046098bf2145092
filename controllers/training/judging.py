"""What a bundle is worth before anybody lets it drive: against the tuned constants, with the same luck.

It drives the shifts of the task's exam, none of which is among those of `twin evaluate`. In the end of a training
that is an evaluation, on the line as it truly is, and the only part of it that opens the truth. It is a quick look
for whoever trains: the loop, all controllers and the verdicts are `twin evaluate`'s.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from controllers.env.vector import LineVectorEnv
from controllers.policy.bundle import Bundle
from controllers.policy.manifest import outward
from controllers.policy.network import Network
from controllers.training.lines import beside_fixed, drawn_in, engineering, time_outs_s
from controllers.training.task import Task
from twin.config import find_plant, load_plant
from twin.feedback.study.intervals import interval

SCENARIO = "nominal"
"""On which a policy is judged in the end, as the constants were that it is compared with."""


def judged(bundle: Bundle, task: Task) -> dict[str, Any]:
    """What each shift has saved, on average and with a 95 % interval, EUR, and on which shifts.

    On the true line where the plant has one, else on the nominal one, or on lines that are held out.
    """
    lines, facts = _lines(task)
    manifest, count = bundle.manifest, lines.num_envs
    network = Network(bundle.model, manifest, "the bundle that was trained")
    # Offsets count from the base; by itself a policy asks from the middle of each range.
    centre, reach = outward(manifest)
    authority = None if manifest.role.base is None else 0.5 * manifest.role.authority
    paired = task.settings.model_copy(update={"paired": True})
    driven = beside_fixed(lines, paired, task.fixed, authority)
    driven.seed(task.exam.first_seed)
    observation, over = driven.reset(), np.zeros(count, dtype=np.bool_)
    saved = np.full(count, np.nan)
    while not over.all():
        asked = network.act(engineering(driven.schema, observation))
        observation, _, ended, infos = driven.step(((asked - centre) / reach).astype(np.float32))
        for n in np.flatnonzero(ended & ~over).tolist():
            saved[n] = infos[n]["saved_eur"]
        over |= ended
    found = interval(saved.tolist())
    return {
        "against": "fixed",
        **facts,
        "first_seed": task.exam.first_seed,
        "shifts": count,
        "saved_eur_per_shift": found.mean,
        "saved_eur_half_width": found.half_width,
    }


def _lines(task: Task) -> tuple[LineVectorEnv, dict[str, Any]]:
    """Lines in the shifts of the exam, and in words which those are."""
    settings, exam, path = task.settings, task.exam, find_plant(task.plant)
    count, held_s = settings.judged_shifts, time_outs_s(task.fixed)
    demanded = exam.utilisation
    if demanded is None:
        demanded = load_plant(task.plant).demand.utilisation
    if not exam.is_held_out:
        is_known = path.with_name(f"{path.stem}.truth.yaml").is_file()
        lines = LineVectorEnv(
            count, task.plant, SCENARIO, world="true" if is_known else "nominal",
            utilisation=demanded, time_outs_s=held_s,
        )  # fmt: skip
        facts = {"world": lines.setting.kind, "scenario": SCENARIO, "utilisation": demanded}
        return lines, facts
    drawn = drawn_in(settings, "held_out")
    lines = LineVectorEnv(
        count, task.plant, utilisation=demanded, randomisation=drawn, worlds=count,
        time_outs_s=held_s,
    )  # fmt: skip
    span = drawn.utilisation
    return lines, {
        "world": "held_out",
        "scenario": " ".join(settings.worlds.scenarios),
        "utilisation": demanded if span is None else f"{span[0]:g} to {span[1]:g}",
    }
