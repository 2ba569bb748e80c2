"""UDP sockets towards the PBX: a pair of ports per call, read in batches.

asyncio's datagram transports read into buffers of 256 KiB, and an event loop that polls a busy socket once per packet
starves; so these are plain sockets with a reader that takes several packets each time it is called.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

from dialog_bridge.adapters.media.latch import Address

MAX_DATAGRAM = 2048
"""Bytes read of a datagram; RTP stays below the MTU."""
DRAIN = 16
"""Packets taken each time a socket is readable, so that one flooded call leaves room for the others."""

Receive = Callable[[bytes, Address], None]


class RtpSocket:
    """One bound socket. ``receive`` is called in the event loop and must not raise."""

    def __init__(self, sock: socket.socket, receive: Receive) -> None:
        self._socket = sock
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable)
        self.unsent = 0
        """Packets that the kernel did not take."""

    def send(self, packet: bytes, target: Address) -> None:
        """Send, or drop where the kernel has no room or no route: late sound is of no use."""
        try:
            self._socket.sendto(packet, target)
        except OSError:
            self.unsent += 1

    def close(self) -> None:
        """Stop reading and free the port. Safe to call twice."""
        if self._socket.fileno() != -1:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _readable(self) -> None:
        for _ in range(DRAIN):
            if self._socket.fileno() == -1:
                return
            try:
                packet, source = self._socket.recvfrom(MAX_DATAGRAM)
            except OSError:
                # Nothing more to read, or an ICMP error of something sent before: neither says anything of the call.
                return
            self._receive(packet, source[:2])


class PortsExhaustedError(Exception):
    """No pair of ports of the range is free."""


class PortPool:
    """Even RTP ports of a range, each with its RTCP port above (RFC 3550 section 11).

    Ports are used in turn, so that packets of a call that has ended rarely meet the next one.
    """

    def __init__(self, lowest: int, highest: int) -> None:
        self._ports = range(lowest + lowest % 2, highest, 2)
        self._taken: set[int] = set()
        self._next = 0

    def bind(self, host: str) -> tuple[int, socket.socket, socket.socket]:
        """Return an RTP port, and the sockets of it and of the port above, bound to ``host``.

        Raises :class:`PortsExhaustedError`, and :class:`OSError` where the address itself cannot be used.
        """
        for step in range(len(self._ports)):
            index = (self._next + step) % len(self._ports)
            port = self._ports[index]
            if port in self._taken:
                continue
            pair = _bind_pair(host, port)
            if pair is not None:
                self._taken.add(port)
                self._next = index + 1
                return port, *pair
        raise PortsExhaustedError

    def free(self, port: int) -> None:
        """Take a port back whose sockets are closed."""
        self._taken.discard(port)


def _bind_pair(host: str, port: int) -> tuple[socket.socket, socket.socket] | None:
    rtp = _bind(host, port)
    if rtp is None:
        return None
    try:
        rtcp = _bind(host, port + 1)
    except OSError:
        rtp.close()
        raise
    if rtcp is None:
        rtp.close()
        return None
    return rtp, rtcp


def _bind(host: str, port: int) -> socket.socket | None:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        if error.errno in _IN_USE:
            return None
        raise
    return sock


_IN_USE = frozenset({errno.EADDRINUSE, errno.EACCES})
"""This port cannot be had; another may."""
