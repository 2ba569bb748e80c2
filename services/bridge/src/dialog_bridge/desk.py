"""What the handlers stand on: the switchboard, the ports, and the facts of this instance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from dialog_runtime.clock import Clock
from dialog_schemas.cloudevents import Envelope
from dialog_schemas.instances import Heartbeat
from dialog_schemas.relay import Relay

from dialog_bridge.directory import Directory
from dialog_bridge.meters import Meters
from dialog_bridge.model.call import Limits
from dialog_bridge.model.liveness import Liveness
from dialog_bridge.model.memory import Memory
from dialog_bridge.model.parcels import LegSettings
from dialog_bridge.ports import Mappings, Outbox, Registrars
from dialog_bridge.runner import Outside
from dialog_bridge.switchboard import Switchboard

SEEN = 50_000
"""Events whose ids are remembered: minutes of traffic, where repetitions come within seconds."""


@dataclass(slots=True)
class Desk:
    """Made by ``bootstrap``. ``own`` is our heartbeat as it would be sent now, ``token`` makes unguessable names."""

    instance: str
    clock: Clock
    outbox: Outbox
    mappings: Mappings
    registrars: Registrars
    directory: Directory
    liveness: Liveness
    switchboard: Switchboard
    outside: Outside
    meters: Meters
    own: Callable[[], Heartbeat]
    token: Callable[[], str]
    random: Random
    limits: Limits = field(default_factory=Limits)
    legs: LegSettings = field(default_factory=LegSettings)
    seen: Memory[tuple[str, str], None] = field(default_factory=lambda: Memory(SEEN))
    """Events that had their effect: source and id."""
    invites: Memory[str, str] = field(default_factory=lambda: Memory(SEEN))
    """INVITEs that were given to another bridge: SIP Call-ID -> its instance."""

    def is_repeat(self, envelope: Envelope) -> bool:
        """Tell whether an event had its effect already."""
        return (envelope.source, envelope.id) in self.seen

    def remember(self, envelope: Envelope) -> None:
        """Remember that an event had its effect."""
        self.seen.put((envelope.source, envelope.id), None)

    def heard(self, relay: Relay) -> None:
        """Take note of a SIP message that came, and of the process that sent it."""
        self.meters.heard(relay)
        self.liveness.spoke(relay.sender, relay.incarnation)

    def is_dead(self, instance: str) -> bool:
        """Tell whether an instance is gone."""
        return self.liveness.is_dead(instance, self.clock.monotonic())

    def bridges(self) -> list[Heartbeat]:
        """Return the heartbeats of the live bridges."""
        return self.liveness.bridges(self.clock.monotonic())
