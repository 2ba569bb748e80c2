"""A stateful proxy (RFC 3261 section 16) that stays in the path.

Theory of operation: each request gets a client transaction on the flow of its destination, with our Via alone, and what
comes back there goes back here with the Vias of the request. The first INVITE of a SIP dialog leaves a *path*: the two
flows, by Call-ID. Requests in the dialog find the other flow in it, whatever their Request-URI says, so a user agent
behind a TCP connection or a NAT is reached where it registered. ACKs for a 2xx pass the same way. The path goes with
the BYE, or when the INVITE fails.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial

from dialog_sip import LocalProtocolError, NameAddr, Request, Response, SipUri
from dialog_sip.aio import ClientRequest, Endpoint, Failure, Flow, FlowError, ServerRequest

MAX_PATHS = 10_000
"""SIP dialogs that are remembered; of more the oldest are forgotten."""
MAX_FORWARDS = 70

_FAILURE_CODES = {Failure.TIMEOUT: 408, Failure.TRANSPORT: 503}


@dataclass(frozen=True, slots=True)
class Path:
    """The two ends of a SIP dialog."""

    caller_tag: str | None
    caller: Flow
    callee: Flow

    def other(self, request: Request) -> Flow:
        """Return the flow of the end that did not send ``request``."""
        return self.callee if request.from_.tag == self.caller_tag else self.caller


class Proxy:
    """Forwards requests between flows."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        # Our own, as they stand in Route.
        self._addresses: set[tuple[str, int]] = set()
        self._paths: OrderedDict[str, Path] = OrderedDict()

    def forward_new(self, server: ServerRequest, uri: str, flow: Flow) -> None:
        """Forward a request outside any SIP dialog to a binding. Raises :class:`RemoteProtocolError`."""
        request = server.request
        if request.method == "INVITE":
            self._paths[request.call_id] = Path(request.from_.tag, server.flow, flow)
            if len(self._paths) > MAX_PATHS:
                self._paths.popitem(last=False)
        self._forward(server, uri, flow)

    def forward_in_dialog(self, server: ServerRequest) -> None:
        """Forward a request in a SIP dialog to its other end. Raises :class:`RemoteProtocolError`."""
        path = self._paths.get(server.request.call_id)
        if path is None:
            server.respond(481)
            return
        self._forward(server, server.request.uri, path.other(server.request))
        if server.request.method == "BYE":
            self._paths.pop(server.request.call_id, None)

    def forward_ack(self, ack: Request) -> None:
        """Forward the ACK for a 2xx. Nobody answers an ACK, so what cannot be forwarded is dropped."""
        path = self._paths.get(ack.call_id)
        if path is None:
            return
        onward = self._onward(ack, ack.uri)
        try:
            self._endpoint.acknowledge(onward, path.other(ack))
        except FlowError:
            # The 2xx comes again, and with it another chance.
            return

    def _forward(self, server: ServerRequest, uri: str, flow: Flow) -> None:
        request = server.request
        if request.max_forwards == 0:
            server.respond(483)
            return
        onward = self._onward(request, uri)
        if request.method == "INVITE":
            self._record_route(onward, server.flow, flow)
        try:
            client = self._endpoint.request(
                onward,
                flow,
                on_response=lambda response: self._back(server, response),
                on_failure=lambda failure: self._failed(server, failure),
            )
        except FlowError:
            self._failed(server, Failure.TRANSPORT)
            return
        server.on_cancel = partial(_cancel, client)
        server.on_ack = self.forward_ack

    def _onward(self, request: Request, uri: str) -> Request:
        """Return the request as the next hop gets it: our Routes taken off, one hop less to go."""
        onward = request.copy()
        onward.uri = uri
        hops = request.max_forwards
        onward.headers.set("Max-Forwards", MAX_FORWARDS if hops is None else hops - 1)
        onward.headers.remove("Proxy-Authorization")
        routes = list(request.routes)
        while routes and self._is_ours(routes[0].uri):
            routes.pop(0)
        onward.headers.remove("Route")
        for route in routes:
            onward.headers.add("Route", route)
        return onward

    def _is_ours(self, uri: SipUri) -> bool:
        return (uri.address, uri.effective_port) in self._addresses

    def _record_route(self, request: Request, came: Flow, goes: Flow) -> None:
        """Stay in the path; twice where it changes the transport (RFC 5658)."""
        self._addresses |= {came.local, goes.local}
        request.headers.prepend("Record-Route", _own_route(came))
        if came.transport != goes.transport:
            request.headers.prepend("Record-Route", _own_route(goes))

    def _back(self, server: ServerRequest, response: Response) -> None:
        if response.code == 100:
            return
        back = response.copy()
        back.headers.remove("Via")
        for via in reversed(server.request.vias):
            back.headers.prepend("Via", via)
        self._send_back(server, back)

    def _failed(self, server: ServerRequest, failure: Failure) -> None:
        self._send_back(server, server.request.respond(_FAILURE_CODES[failure]))

    def _send_back(self, server: ServerRequest, response: Response) -> None:
        if server.request.method == "INVITE" and server.request.to.tag is None and response.code >= 300:
            self._paths.pop(server.request.call_id, None)
        try:
            server.send(response)
        except LocalProtocolError:
            # Its transaction is over: whoever waited for this has given up.
            return


def _own_route(flow: Flow) -> NameAddr:
    uri = SipUri.make(None, *flow.local).with_params(lr=None)
    return NameAddr.make(uri if flow.transport == "udp" else uri.with_params(transport=flow.transport))


def _cancel(client: ClientRequest, _cancel: Request) -> None:
    client.cancel()
