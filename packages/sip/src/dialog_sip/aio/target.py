"""What a flow leads to, and the drivers for each transport (RFC 3261 section 18, RFC 7118 section 5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from dialog_sip.aio.flow import Address, Flow, FlowError, Listener, Receiver
from dialog_sip.aio.handshake import Handshake
from dialog_sip.aio.tcp import listen_tcp, listen_tls, open_tcp, open_tls
from dialog_sip.aio.tls import TlsOptions
from dialog_sip.aio.udp import listen_udp, open_udp
from dialog_sip.aio.ws import listen_ws, open_ws, open_wss

T = TypeVar("T")

_SECURE: Final = frozenset({"tls", "wss"})
_WEBSOCKETS: Final = frozenset({"ws", "wss"})


@dataclass(frozen=True, slots=True)
class Target:
    """Where a flow leads (RFC 3261 section 18.1.1).

    Equal targets share one flow: the same address is another to other identities.
    """

    transport: str
    remote: Address
    local: Address | None = None
    """Our own address, where that matters."""
    domain: str = ""
    """For whom the peer's certificate has to stand; empty without TLS."""
    tls: TlsOptions | None = None
    handshake: Handshake = field(default_factory=Handshake)
    name: str = ""
    """Flows of different names are not shared."""


def target_of(
    transport: str,
    remote: Address,
    local: Address | None,
    domain: str | None,
    tls: TlsOptions | None,
    handshake: Handshake | None,
    name: str = "",
) -> Target:
    """Return a target (RFC 3261 section 18.1.1).

    What its transport does not need is left out, so that equal ones are equal.
    """
    used = handshake if handshake is not None and transport in _WEBSOCKETS else Handshake()
    if transport not in _SECURE:
        return Target(transport, remote, local, handshake=used, name=name)
    return Target(transport, remote, local, (domain or remote[0]).lower(), tls or TlsOptions(), used, name)


async def open_flow(target: Target, receiver: Receiver) -> Flow:
    """Open a flow (RFC 3261 section 18.1.1). Raises :class:`FlowError`."""
    return await _known(_OPEN, target.transport)(target, receiver)


async def listen(transport: str, local: Address, receiver: Receiver, tls: TlsOptions | None) -> Listener:
    """Bind a socket for peers (RFC 3261 section 18.2.1). Raises :class:`FlowError`."""
    return await _known(_LISTEN, transport)(local, receiver, tls or TlsOptions())


async def _open_udp(target: Target, receiver: Receiver) -> Flow:
    return await open_udp(target.remote, receiver, target.local)


async def _open_tcp(target: Target, receiver: Receiver) -> Flow:
    return await open_tcp(target.remote, receiver, target.local)


async def _open_tls(target: Target, receiver: Receiver) -> Flow:
    options = target.tls or TlsOptions()
    return await open_tls(target.remote, receiver, target.local, options=options, domain=target.domain)


async def _open_ws(target: Target, receiver: Receiver) -> Flow:
    return await open_ws(target.remote, receiver, target.local, handshake=target.handshake)


async def _open_wss(target: Target, receiver: Receiver) -> Flow:
    return await open_wss(
        target.remote,
        receiver,
        target.local,
        handshake=target.handshake,
        options=target.tls or TlsOptions(),
        domain=target.domain,
    )


async def _listen_udp(local: Address, receiver: Receiver, _tls: TlsOptions) -> Listener:
    return await listen_udp(local, receiver)


async def _listen_tcp(local: Address, receiver: Receiver, _tls: TlsOptions) -> Listener:
    return await listen_tcp(local, receiver)


async def _listen_ws(local: Address, receiver: Receiver, _tls: TlsOptions) -> Listener:
    return await listen_ws(local, receiver)


_OPEN: Final[dict[str, Callable[[Target, Receiver], Awaitable[Flow]]]] = {
    "udp": _open_udp,
    "tcp": _open_tcp,
    "tls": _open_tls,
    "ws": _open_ws,
    "wss": _open_wss,
}
_LISTEN: Final[dict[str, Callable[[Address, Receiver, TlsOptions], Awaitable[Listener]]]] = {
    "udp": _listen_udp,
    "tcp": _listen_tcp,
    "tls": listen_tls,
    "ws": _listen_ws,
    "wss": listen_ws,
}


def _known(table: dict[str, T], transport: str) -> T:
    try:
        return table[transport]
    except KeyError:
        raise FlowError(f"transport {transport!r} is not one of {', '.join(table)}") from None
