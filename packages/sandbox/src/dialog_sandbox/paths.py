"""Where the sandbox keeps things: the XDG base directories, and the free ports of the loopback."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Collection
from pathlib import Path

from dialog_sandbox.errors import SandboxError

APPLICATION = "dialog-sip"

_PORTS = range(20_000, 32_000)
"""Below Linux's ephemeral range (32768 and up): no outgoing connection takes a port between choice and bind."""


def cache_dir() -> Path:
    """Return the folder for what can be fetched again: ``$XDG_CACHE_HOME/dialog-sip``."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def state_dir() -> Path:
    """Return the folder for what lasts between starts: ``$XDG_STATE_HOME/dialog-sip``."""
    return _xdg("XDG_STATE_HOME", ".local/state")


def port_is_free(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    """Tell whether ``port`` of 127.0.0.1 can be bound now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:  # as servers do: a port in TIME_WAIT is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def needs_privilege(port: int) -> bool:
    """Tell whether ``port`` is one that the system keeps from such as us."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            return True
        except OSError:
            return False
        return False


def claim_port(port: int, what: str) -> None:
    """Raise :class:`SandboxError` if ``what`` could not bind ``port`` of 127.0.0.1."""
    if not port_is_free(port):
        raise SandboxError(f"port {port} of 127.0.0.1, for {what}, is taken")


def free_port(*kinds: socket.SocketKind, exclude: Collection[int] = ()) -> int:
    """Return a port of 127.0.0.1 that nobody holds, for sockets of all ``kinds`` (TCP where none is given).

    Random, so that test runs beside each other rarely meet; never one of ``exclude``, which were chosen but are not
    bound yet. Raises :class:`SandboxError` if the range is exhausted.
    """
    for port in random.sample(_PORTS, k=200):
        if port not in exclude and all(port_is_free(port, kind) for kind in kinds or (socket.SOCK_STREAM,)):
            return port
    raise SandboxError(f"no free port on 127.0.0.1 between {_PORTS.start} and {_PORTS.stop}")


class PortBook:
    """Hands out free ports, none of them twice."""

    def __init__(self, chosen: Collection[int] = ()) -> None:
        self._given = set(chosen)

    def take(self, *kinds: socket.SocketKind) -> int:
        """Return a free port for sockets of all ``kinds``, as :func:`free_port` does."""
        port = free_port(*kinds, exclude=self._given)
        self._given.add(port)
        return port


def _xdg(variable: str, default: str) -> Path:
    base = os.environ.get(variable, "")
    # A relative path is to be ignored (XDG Base Directory Specification, section "Environment variables").
    return (Path(base) if base.startswith("/") else Path.home() / default) / APPLICATION
