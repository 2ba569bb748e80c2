"""All of ``server.conf`` that the integration reads."""

from __future__ import annotations

from dialog_runtime.config.modules import IceServer, Modules, Sip
from dialog_runtime.config.services import Kafka, Postgresql, Services
from dialog_runtime.config.values import Section


class Settings(Section):
    """Frozen; made by :func:`dialog_runtime.config.load_settings`, or in tests from a mapping."""

    modules: Modules
    services: Services = Services()

    @property
    def sip(self) -> Sip:
        """``modules.sip``."""
        return self.modules.sip

    @property
    def ice_servers(self) -> tuple[IceServer, ...]:
        """``modules.webrtc.ice-servers``, in order."""
        return self.modules.webrtc.ice_servers

    @property
    def kafka(self) -> Kafka:
        """``services.kafka``."""
        return self.services.kafka

    @property
    def postgresql(self) -> Postgresql:
        """``services.postgresql``."""
        return self.services.postgresql
