"""What makes a policy the controller that it is: all that its manifest says but who let it act, and how it did."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

ABOUT_IT = ("approvals", "evaluation")
"""Entries of a manifest that move no setpoint."""


def behaviour_sha256(manifest: Mapping[str, object]) -> str:
    """Digest of a manifest (as JSON has it) without those entries; the network is in it by its own digest.

    The same network in another role, or with another training range, is another controller.
    """
    acts = {name: value for name, value in manifest.items() if name not in ABOUT_IT}
    return hashlib.sha256(json.dumps(acts, sort_keys=True).encode()).hexdigest()
