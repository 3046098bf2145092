"""A TCP connection that can be cut and mended."""

from __future__ import annotations

from twin.chaos.proxy import Proxy, Weather


class Wire(Proxy):
    """Stands between a client and a server; ``cut`` breaks all connections and lets none in.

    ``mute`` keeps back what the server says, ``hang`` what anybody says, while all connections
    stand; ``mend`` ends all of it, and what was kept back goes on its way.
    """

    def cut(self) -> None:
        self.weather = Weather(refuses=True)
        self.reset()

    def mute(self) -> None:
        self.weather = Weather(is_mute=True)

    def hang(self) -> None:
        self.weather = Weather(is_stalled=True)

    def mend(self) -> None:
        self.weather = Weather()
