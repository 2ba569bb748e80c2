"""What both directions of the edge stand on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dialog_schemas.relay import Relay

from dialog_registrar.meters import Meters
from dialog_registrar.model.accounts import Accounts
from dialog_registrar.model.routes import Routes
from dialog_registrar.ports import Bridges, Sip


@dataclass(slots=True)
class Edge:
    """Ports, tables and facts of this instance."""

    instance: str
    user_agent: str
    sip: Sip
    bridges: Bridges
    accounts: Accounts
    routes: Routes
    meters: Meters
    now: Callable[[], float]
    taking: Callable[[], bool] = lambda: True
    """Tells whether more mappings may be this registrar's in a moment: its partitions are not all here yet."""
    by_to: bool = False
    """Find whom a request is for by To, before the Contact in its Request-URI (``dialog-ignore-contact-field``)."""

    def to_bridge_or_any(self, instance: str | None, sip_call_id: str, relay: Relay) -> bool:
        """Put a message into the inbox of the bridge that holds its SIP dialog, or on ``sip.requests``."""
        if instance is not None:
            return self.to_bridge(instance, relay)
        return self.bridges.to_any(sip_call_id, relay)

    def to_bridge(self, instance: str, relay: Relay) -> bool:
        """Put a message into a bridge's inbox, unless too much waits already."""
        sent = self.bridges.to_one(instance, relay)
        if not sent:
            self.meters.relay_dropped(relay.kind.value)
        return sent
