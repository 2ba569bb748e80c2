"""Which bridge takes a call, and which one clears away after a dead one."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from dialog_schemas.instances import Heartbeat

UNEVEN = 4
"""How many calls more than the least loaded one a bridge may have before it gives new ones away. The keys spread calls
evenly by themselves; heartbeats are up to a second old, and a hop costs milliseconds."""


def place(own: Heartbeat, bridges: Iterable[Heartbeat]) -> str | None:
    """Choose who takes a new call: we, unless we cannot or others have much more room. None: nobody can."""
    free = [bridge for bridge in bridges if bridge.instance != own.instance and has_room(bridge)]
    least = min(free, key=lambda bridge: (bridge.load, bridge.instance), default=None)
    if has_room(own) and (least is None or own.load - least.load < UNEVEN):
        return own.instance
    return None if least is None else least.instance


def has_room(bridge: Heartbeat) -> bool:
    """Tell whether a bridge takes new calls."""
    return not bridge.draining and (bridge.capacity is None or bridge.load < bridge.capacity)


def adopter(call_id: str, bridges: Iterable[str]) -> str | None:
    """Choose which of the live bridges clears away a dead one's call: the same answer wherever it is asked.

    Rendezvous hashing: a bridge that comes or goes moves no other's share.
    """
    return max(bridges, key=lambda bridge: _weight(call_id, bridge), default=None)


def _weight(call_id: str, bridge: str) -> bytes:
    return blake2b(f"{call_id}\0{bridge}".encode(), digest_size=8).digest()
