"""A line behind a connection, as those look at it who tell a person how it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from twin.equipment.link_state import LinkState

_REMEDIES = {
    "client": "twin cert new --side client, and have it trusted there",
    "server": "its owner has to make a new one",
}


@runtime_checkable
class Linked(Protocol):
    """Equipment behind a connection that can be looked at."""

    @property
    def state(self) -> LinkState:
        """The connection now."""
        ...


def certificate_doubts(equipment: object) -> dict[str, str]:
    """What is to be said of the certificates of a line's connection, by side: that one ends soon, or has ended."""
    return doubts_of(equipment.state) if isinstance(equipment, Linked) else {}


def doubts_of(state: LinkState) -> dict[str, str]:
    """The same of a connection that has been looked at already."""
    if not state.certificates:
        return {}
    from twin.equipment.pki import now

    return {
        side: f"the {side}'s certificate is {doubt}: {_REMEDIES[side]}"
        for side, known in state.certificates.items()
        if (doubt := known.doubt(now()))
    }
