"""The policy that these tests put to work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controllers.policy.controller import Policy, Residual
from controllers.policy.manifest import Approval
from tests.controllers.policy.bundles import PLANT, bundle, placed, point, widened
from tests.twin.analyze.in_step import nominal


@pytest.fixture
def policy(tmp_path: Path) -> Callable[..., Policy]:
    def make(
        state: Approval = Approval.CLOSED,
        use: str = "drive",
        base: str | None = None,
        wide: bool = True,
        of_shown: bool = False,
        fallback: str | None = None,
        clock: Callable[[], int] | None = None,
        **how: Any,
    ) -> Policy:
        found = bundle(PLANT, state, base=base)
        if fallback is not None:
            role = found.manifest.role.model_copy(update={"fallback": fallback})
            changed = found.manifest.model_copy(update={"role": role})
            found = replace(found, manifest=changed)
        if wide:
            found = widened(found, of_shown=of_shown)
        file = placed(found, tmp_path / "it.policy", use=use, **how)
        kind = Policy if base is None else Residual
        arguments = (nominal(PLANT), point(PLANT, kind.name, file))
        return kind(*arguments) if clock is None else kind(*arguments, clock)

    return make
