"""Which flows there are, which are asked for, and why one cannot be opened."""

from __future__ import annotations

from dialog_registrar.model.mapping import Server


class FlowBook:
    """Flows as the engine knows them: by their server, with our address on them."""

    __slots__ = ("_addresses", "_troubles", "unwanted", "wanted")

    def __init__(self) -> None:
        self.wanted: dict[Server, int | None] = {}
        """To be opened, with the local port that would keep the Contacts of before."""
        self.unwanted: set[Server] = set()
        """Those that nobody has any more."""
        self._addresses: dict[Server, str | None] = {}
        self._troubles: dict[Server, str] = {}

    def address(self, server: Server) -> str | None:
        """Return our address on a flow, or None while it is down."""
        return self._addresses.get(server)

    def trouble(self, server: Server) -> str | None:
        """Return why a flow cannot be opened."""
        return self._troubles.get(server)

    def up(self, server: Server, address: str) -> bool:
        """Take a new flow. True where it follows one that was lost."""
        again = self._addresses.get(server, "") is None
        self._addresses[server] = address
        self._troubles.pop(server, None)
        return again

    def down(self, server: Server) -> None:
        """Note that a flow is lost."""
        if server in self._addresses:
            self._addresses[server] = None

    def closed(self, server: Server) -> None:
        """Forget a flow."""
        self._addresses.pop(server, None)
        self._troubles.pop(server, None)

    def failed(self, server: Server, why: str) -> bool:
        """Note why a flow cannot be opened. True where that is news."""
        known = self._troubles.get(server)
        self._troubles[server] = why
        return known != why

    def want(self, server: Server, port: int | None) -> None:
        """Have a flow opened, from local ``port`` where that is free."""
        self.unwanted.discard(server)
        if server not in self._addresses:
            self.wanted[server] = self.wanted.get(server) or port

    def leave(self, server: Server) -> None:
        """Have a flow closed."""
        self.wanted.pop(server, None)
        self.unwanted.add(server)
