"""SIP on asyncio: flows over UDP and TCP, and the :class:`Endpoint` that runs transactions over them."""

from dialog_sip.aio.endpoint import Endpoint
from dialog_sip.aio.exchange import ClientRequest, Failure, RequestFailedError, ServerRequest
from dialog_sip.aio.flow import Flow, FlowError, Listener
from dialog_sip.aio.trace import Direction, Trace, TraceHook

__all__ = [
    "ClientRequest",
    "Direction",
    "Endpoint",
    "Failure",
    "Flow",
    "FlowError",
    "Listener",
    "RequestFailedError",
    "ServerRequest",
    "Trace",
    "TraceHook",
]
