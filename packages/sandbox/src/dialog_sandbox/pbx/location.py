"""Where users are: the bindings that REGISTERs made (RFC 3261 section 10.3). Pure; time is an argument."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

F = TypeVar("F")

MAX_BINDINGS = 10
"""Of one user; a REGISTER that would make more is refused."""


@dataclass(frozen=True, slots=True)
class Bound(Generic[F]):
    """One binding, and the flow on which it is reached."""

    uri: str
    flow: F
    expires_at: float
    call_id: str
    cseq: int
    path: tuple[str, ...] = ()


class Location(Generic[F]):
    """User -> bindings. A binding that has lapsed is gone."""

    def __init__(self) -> None:
        self._users: dict[str, dict[str, Bound[F]]] = {}

    def bind(self, user: str, binding: Bound[F], now: float) -> bool:
        """Add or renew one; False where the user has too many."""
        bindings = {bound.uri: bound for bound in self.find(user, now)}
        if binding.uri not in bindings and len(bindings) >= MAX_BINDINGS:
            return False
        self._users[user] = bindings | {binding.uri: binding}
        return True

    def unbind(self, user: str, uri: str) -> None:
        """Drop one."""
        self._users.get(user, {}).pop(uri, None)

    def find(self, user: str, now: float) -> tuple[Bound[F], ...]:
        """Return the bindings of a user that hold, the newest last."""
        return tuple(bound for bound in self._users.get(user, {}).values() if bound.expires_at > now)

    def knows(self, user: str) -> bool:
        """Tell whether the user has ever registered."""
        return user in self._users

    def drop_flow(self, flow: F) -> None:
        """Forget what was reached on a flow that is closed."""
        for bindings in self._users.values():
            for bound in [bound for bound in bindings.values() if bound.flow is flow]:
                del bindings[bound.uri]

    def items(self, now: float) -> Iterator[tuple[str, tuple[Bound[F], ...]]]:
        """Iterate over the users that have bindings."""
        for user in sorted(self._users):
            if found := self.find(user, now):
                yield user, found
