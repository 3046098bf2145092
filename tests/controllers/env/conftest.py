from __future__ import annotations

from importlib.util import find_spec

# Environments need the extra: pip install 'takttwin[rl]'. Schema and observer do without.
NEED_GYMNASIUM = ["test_environments.py", "test_same_numbers.py"]
collect_ignore = [] if find_spec("gymnasium") else NEED_GYMNASIUM
