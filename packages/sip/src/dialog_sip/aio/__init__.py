"""SIP on asyncio: over UDP, TCP, TLS and websockets, and the :class:`Endpoint` (RFC 3261 section 18 and RFC 7118)."""

from dialog_sip.aio.endpoint import Endpoint
from dialog_sip.aio.exchange import ClientRequest, Failure, RequestFailedError, ServerRequest
from dialog_sip.aio.flow import Flow, FlowError, Listener
from dialog_sip.aio.handshake import Handshake, HandshakeError
from dialog_sip.aio.tls import TlsError, TlsOptions, TlsProblem
from dialog_sip.aio.trace import Direction, Trace, TraceHook

__all__ = [
    "ClientRequest",
    "Direction",
    "Endpoint",
    "Failure",
    "Flow",
    "FlowError",
    "Handshake",
    "HandshakeError",
    "Listener",
    "RequestFailedError",
    "ServerRequest",
    "TlsError",
    "TlsOptions",
    "TlsProblem",
    "Trace",
    "TraceHook",
]
