"""UDP (RFC 3261 section 18) on an own non-blocking socket with ``add_reader``.

One wake-up drains many datagrams: a third of the cost of asyncio's ``DatagramProtocol``, and uvloop starves readers
that take one at a time. A bound on each wake-up keeps timers and other flows alive.
"""

from __future__ import annotations

import asyncio
import socket

from dialog_sip.aio.flow import Address, Flow, FlowError, Listener, Receiver, plain_address

MAX_DATAGRAM = 65535
"""Bytes."""
DRAIN = 64
"""Datagrams that one wake-up takes at most."""
MAX_PEERS = 10_000
"""Peers whose flow a listener remembers; of one that is forgotten the next datagram makes a new flow."""


class UdpFlow(Flow):
    """A connected socket of our own (RFC 3261 section 18.1).

    The kernel drops what others send, and says when nobody listens over there.
    """

    def __init__(self, sock: socket.socket, receiver: Receiver) -> None:
        super().__init__("udp", plain_address(sock.getsockname()), plain_address(sock.getpeername()), receiver)
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable)

    def send(self, data: bytes) -> None:
        """Send one datagram."""
        if self.closed:
            raise FlowError("the flow is closed")
        try:
            self._socket.send(data)
        except OSError as error:
            _judge(error)

    def close(self) -> None:
        """Close the socket."""
        if not self.closed:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._ended()

    async def wait_closed(self) -> None:
        """Return at once: datagrams do not linger here."""

    def _readable(self) -> None:
        for _ in range(DRAIN):
            if self.closed:
                return
            try:
                data = self._socket.recv(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                # An ICMP error for what was sent before (RFC 3261 section 18.4).
                self._watch_again()
                self._receiver.flow_failed(self)
                return
            self.heard += 1
            self._receiver.message_received(self, data)

    def _watch_again(self) -> None:
        # libuv, under uvloop, stops to watch a socket that had an error.
        self._loop.remove_reader(self._socket.fileno())
        self._loop.add_reader(self._socket.fileno(), self._readable)


class UdpPeerFlow(Flow):
    """One peer of a listening socket (RFC 3261 section 18.2)."""

    def __init__(self, listener: UdpListener, remote: Address, receiver: Receiver) -> None:
        super().__init__("udp", listener.local_towards(remote), remote, receiver)
        self._listener = listener

    def send(self, data: bytes) -> None:
        """Send one datagram from the listening socket."""
        if self.closed:
            raise FlowError("the flow is closed")
        self._listener.send_to(data, self.remote)

    def close(self) -> None:
        """Forget the peer; the listener stays."""
        self._listener.forget(self)
        self._ended()

    async def wait_closed(self) -> None:
        """Return at once: datagrams do not linger here."""

    def towards_port(self, port: int) -> Flow:
        """Return the flow from the same socket to another port of the peer."""
        return self._listener.flow_to((self.remote[0], port))


class UdpListener(Listener):
    """A bound socket that serves many peers (RFC 3261 section 18.2.1)."""

    def __init__(self, sock: socket.socket, receiver: Receiver) -> None:
        self._socket = sock
        self._receiver = receiver
        self._flows: dict[Address, UdpPeerFlow] = {}
        self._loop = asyncio.get_running_loop()
        self.address = plain_address(sock.getsockname())
        self._loop.add_reader(sock.fileno(), self._readable)

    def close(self) -> None:
        """Close the socket and every flow."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket.fileno())
        for flow in list(self._flows.values()):
            flow.close()
        self._socket.close()

    def send_to(self, data: bytes, remote: Address) -> None:
        """Send one datagram."""
        try:
            self._socket.sendto(data, remote)
        except OSError as error:
            _judge(error)

    def forget(self, flow: Flow) -> None:
        """Drop the flow of a peer."""
        if self._flows.get(flow.remote) is flow:
            del self._flows[flow.remote]

    def flow_to(self, remote: Address) -> UdpPeerFlow:
        """Return the flow to a peer."""
        flow = self._flows.get(remote)
        if flow is None:
            if len(self._flows) >= MAX_PEERS:
                del self._flows[next(iter(self._flows))]
            flow = self._flows[remote] = UdpPeerFlow(self, remote, self._receiver)
            self._receiver.flow_opened(flow)
        return flow

    def local_towards(self, remote: Address) -> Address:
        """Return our address as this peer sees it, which a socket bound to all addresses does not know itself."""
        if self.address[0] not in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
            return self.address
        with socket.socket(self._socket.family, socket.SOCK_DGRAM) as probe:
            probe.connect(remote)
            return plain_address(probe.getsockname())[0], self.address[1]

    def _readable(self) -> None:
        for _ in range(DRAIN):
            if self._socket.fileno() < 0:
                return
            try:
                data, source = self._socket.recvfrom(MAX_DATAGRAM)
                flow = self.flow_to(plain_address(source))
            except BlockingIOError:
                return
            except OSError:
                # An ICMP error for some peer, or one that cannot be reached at all: nothing tells which.
                continue
            flow.heard += 1
            self._receiver.message_received(flow, data)


def _judge(error: OSError) -> None:
    """Tell what it means that a datagram was not sent. Raises :class:`FlowError`."""
    # A full socket buffer is none, no more than a full router: the transaction sends again.
    if not isinstance(error, BlockingIOError):
        raise FlowError(f"datagram was refused: {error.strerror}") from error


async def open_udp(remote: Address, receiver: Receiver, local: Address | None = None) -> Flow:
    """Open a flow to a peer (RFC 3261 section 18.1.1). Raises :class:`FlowError`."""
    return UdpFlow(await _bound_socket(remote, local, connect=True), receiver)


async def listen_udp(local: Address, receiver: Receiver) -> Listener:
    """Bind a socket for peers (RFC 3261 section 18.2.1). Raises :class:`FlowError`."""
    return UdpListener(await _bound_socket(local, local, connect=False), receiver)


async def _bound_socket(target: Address, local: Address | None, *, connect: bool) -> socket.socket:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(*target, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, sockaddr = found[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise FlowError(f"no UDP to {target[0]}:{target[1]}: {error.strerror}") from error
    try:
        sock.setblocking(False)
        if local is not None:
            sock.bind(local)
        if connect:
            sock.connect(sockaddr)
    except OSError as error:
        sock.close()
        raise FlowError(f"no UDP to {target[0]}:{target[1]}: {error.strerror}") from error
    return sock
