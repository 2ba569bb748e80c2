"""What uvloop does otherwise than asyncio's own loop, and the drivers have to stand."""

from __future__ import annotations

import asyncio
import socket

import uvloop
from dialog_sip import Request
from dialog_sip.aio import Endpoint, Failure, RequestFailedError
from dialog_sip.transactions import Timers


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _options() -> Request:
    headers = [("From", "<sip:a@b>;tag=1"), ("To", "<sip:b>"), ("Call-ID", "c"), ("CSeq", "1 OPTIONS")]
    return Request("OPTIONS", "sip:b", headers)


async def _refused_then_answered() -> list[object]:
    port = _free_port()
    peer = Endpoint(lambda request: request.respond(200) and None, keepalive=None)
    client = Endpoint(lambda request: None, keepalive=None, timers=Timers())
    seen: list[object] = []
    try:
        flow = await client.connect("udp", "127.0.0.1", port)
        for _ in range(2):
            try:
                await asyncio.wait_for(client.request(_options(), flow).final(), 5)
            except RequestFailedError as error:
                seen.append(error.failure)
        await peer.listen("udp", "127.0.0.1", port)
        response = await asyncio.wait_for(client.request(_options(), flow).final(), 5)
        seen.append(response.code)
    finally:
        await client.close()
        await peer.close()
    return seen


def test_a_udp_flow_outlives_icmp_errors() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(_refused_then_answered()) == [Failure.TRANSPORT, Failure.TRANSPORT, 200]
