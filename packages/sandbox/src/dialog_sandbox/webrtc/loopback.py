"""Makes one aiortc peer connection gather candidates on 127.0.0.1, which aioice leaves out."""

from __future__ import annotations

from typing import Any, cast

from aioice import Candidate, Connection
from aiortc import RTCPeerConnection

_LOOPBACK = ["127.0.0.1"]


def gather_on_loopback(peer: RTCPeerConnection) -> None:
    """Let the transports that ``peer`` has now gather there and nowhere else. Before ``setLocalDescription``."""
    for transceiver in peer.getTransceivers():
        _only_there(transceiver.sender.transport.transport.iceGatherer._connection)  # noqa: SLF001 - no public name


def _only_there(agent: Connection) -> None:
    gather = agent.get_component_candidates

    async def gather_there(component: int, addresses: list[str]) -> list[Candidate]:  # noqa: ARG001 - aioice's choice
        return await gather(component, _LOOPBACK)

    cast("Any", agent).get_component_candidates = gather_there
