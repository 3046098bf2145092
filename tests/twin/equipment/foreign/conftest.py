from __future__ import annotations

from tests.twin.equipment.servers import quick_servers

__all__ = ["quick_servers"]
