"""The mappings that are held here, found by AOR, by flow and user, and by partition."""

from __future__ import annotations

from collections.abc import Iterator

from dialog_registrar.model.entry import Entry
from dialog_registrar.model.expiring import Expiring
from dialog_registrar.model.mapping import Mapping, Server

DEPARTED_FOR = 120.0
"""Seconds that a mapping which another registrar took over is still known here: until the PBX has the new Contact."""
DEPARTED_LIMIT = 100_000


class Holdings:
    """Three indexes of the same entries."""

    __slots__ = ("_by_aor", "_by_partition", "_by_server", "_departed")

    def __init__(self) -> None:
        self._by_aor: dict[str, Entry] = {}
        self._by_server: dict[Server, dict[str, Entry]] = {}
        self._by_partition: dict[int, set[Entry]] = {}
        self._departed: Expiring[tuple[Server, str], Entry] = Expiring(DEPARTED_FOR, DEPARTED_LIMIT)

    def __len__(self) -> int:
        return len(self._by_aor)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._by_aor.values())

    def get(self, aor: str) -> Entry | None:
        """Find by AOR."""
        return self._by_aor.get(aor)

    def at(self, server: Server, user: str, now: float) -> Entry | None:
        """Find by flow and user, also what left for another registrar a moment ago."""
        found = self._by_server.get(server, {}).get(user)
        return found if found is not None else self._departed.get((server, user), now)

    def on(self, server: Server) -> list[Entry]:
        """Return those of one flow."""
        return list(self._by_server.get(server, {}).values())

    def of(self, partition: int) -> list[Entry]:
        """Return those of one partition."""
        return list(self._by_partition.get(partition, ()))

    def uses(self, server: Server) -> bool:
        """Tell whether anybody has this flow."""
        return server in self._by_server

    def add(self, entry: Entry) -> None:
        """Hold an entry, in place of any other of the same AOR."""
        self._by_aor[entry.aor] = entry
        self._by_server.setdefault(entry.server, {})[entry.user] = entry
        self._by_partition.setdefault(entry.partition, set()).add(entry)

    def move(self, entry: Entry, mapping: Mapping) -> None:
        """Give an entry another row, maybe with another server."""
        self.remove(entry)
        entry.mapping, entry.server = mapping, mapping.server
        self.add(entry)

    def remove(self, entry: Entry) -> None:
        """Let an entry go."""
        self.replace(entry)
        self._by_partition.get(entry.partition, set()).discard(entry)

    def replace(self, entry: Entry) -> None:
        """Let an entry no longer stand for its AOR; it is still one of its partition."""
        if self._by_aor.get(entry.aor) is entry:
            del self._by_aor[entry.aor]
        users = self._by_server.get(entry.server, {})
        if users.get(entry.user) is entry:
            del users[entry.user]
            if not users:
                del self._by_server[entry.server]

    def depart(self, entry: Entry, now: float) -> None:
        """Let an entry go to another registrar, and know it for a while."""
        self.remove(entry)
        self._departed.put((entry.server, entry.user), entry, now)

    def sweep(self, now: float) -> None:
        """Forget who left long enough ago."""
        for _ in self._departed.expired(now):
            pass
