"""SIP on asyncio: over UDP, TCP, TLS and websockets, and the :class:`Endpoint` (RFC 3261 section 18 and RFC 7118)."""

from dialog_sip.aio.dial import Destination, Dialer
from dialog_sip.aio.endpoint import Endpoint
from dialog_sip.aio.exchange import ClientRequest, Failure, RequestFailedError, ServerRequest
from dialog_sip.aio.flow import Flow, FlowError, Listener
from dialog_sip.aio.handshake import Handshake, HandshakeError
from dialog_sip.aio.resolve import Resolver
from dialog_sip.aio.sending import Answer, Sender
from dialog_sip.aio.tls import TlsError, TlsOptions, TlsProblem
from dialog_sip.aio.trace import Direction, Trace, TraceHook

__all__ = [
    "Answer",
    "ClientRequest",
    "Destination",
    "Dialer",
    "Direction",
    "Endpoint",
    "Failure",
    "Flow",
    "FlowError",
    "Handshake",
    "HandshakeError",
    "Listener",
    "RequestFailedError",
    "Resolver",
    "Sender",
    "ServerRequest",
    "TlsError",
    "TlsOptions",
    "TlsProblem",
    "Trace",
    "TraceHook",
]
