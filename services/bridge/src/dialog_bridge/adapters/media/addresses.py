"""Which of our addresses a peer can reach, and the addresses of names. Every look-up has a deadline."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

RESOLVE_SECONDS = 3.0
_ANY_PORT = 9
"""Discard: nothing is ever sent there."""


def is_literal(host: str) -> bool:
    """Return whether ``host`` is an IP address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def resolve(host: str) -> str:
    """Return an IP address of ``host``. Raises :class:`OSError` (of which :class:`TimeoutError` is one)."""
    host = host.strip("[]")
    if is_literal(host):
        return host
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(RESOLVE_SECONDS):
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return str(found[0][4][0])


def local_address_towards(address: str) -> str:
    """Return the address of this machine from which ``address`` is reached. Sends nothing. Raises :class:`OSError`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address, _ANY_PORT))
        return str(probe.getsockname()[0])
