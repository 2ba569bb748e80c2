"""What forwarding costs: G.711 both ways, SRTP on one side and RTP on the other, the engine in a process of its own.

``python -m dialog_bridge.benchmarks.media_forwarding [calls] [seconds]`` prints the numbers as JSON.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from dialog_sip.sdp import Direction

from dialog_bridge.adapters.media.certificate import Certificates
from dialog_bridge.adapters.media.codecs import EVENTS_8000, PCMU
from dialog_bridge.adapters.media.rtp import HEADER, VERSION_2
from dialog_bridge.adapters.media.settings import MediaSettings
from dialog_bridge.adapters.media.sip_sdp import SipDescription, SipOffer, origin_at
from dialog_bridge.benchmarks.web_peer import WebPeer

PACKET_SECONDS = 0.02
PACKETS_PER_CALL_MINUTE = 6000
"""Both directions; counting packets keeps the number right where the load itself falls behind."""
_PAYLOAD = bytes(160)
_STEP = 160
_CONNECT_SECONDS = 20.0
_PORTS = (41000, 60999)


@dataclass(frozen=True, slots=True)
class Forwarding:
    """The result. ``cpu_per_call_minute`` is user and system time of the engine's process, both directions together."""

    calls: int
    seconds: float
    packets: int
    lost: int
    cpu_seconds: float
    cpu_per_call_minute: float
    cpu_per_packet_us: float
    setup_cpu_ms: float
    """Per call: ports, ICE, DTLS and the descriptions of both sides."""


async def media_forwarding(calls: int = 50, seconds: float = 10.0) -> Forwarding:
    """Set calls up and measure for so long."""
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(_engine())
        certificates = Certificates()
        began = await engine.do(do="count")
        phones = [await stack.enter_async_context(_call(engine, number, certificates)) for number in range(calls)]
        async with asyncio.TaskGroup() as group:
            for number, phone in enumerate(phones):
                phone.start(number / calls * PACKET_SECONDS)
            task = group.create_task(_measured(engine, calls, seconds, began["cpu"]))
        return task.result()


async def _measured(engine: _Engine, calls: int, seconds: float, began: float) -> Forwarding:
    set_up = await engine.do(do="count")
    await asyncio.sleep(1.0)
    before = await engine.do(do="count")
    await asyncio.sleep(seconds)
    after = await engine.do(do="count")
    cpu, packets = after["cpu"] - before["cpu"], after["packets"] - before["packets"]
    return Forwarding(
        calls=calls,
        seconds=seconds,
        packets=packets,
        lost=after["lost"],
        cpu_seconds=cpu,
        cpu_per_call_minute=cpu / max(packets, 1) * PACKETS_PER_CALL_MINUTE,
        cpu_per_packet_us=cpu / max(packets, 1) * 1e6,
        setup_cpu_ms=(set_up["cpu"] - began) / calls * 1000,
    )


class _Engine:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def do(self, **command: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the engine has no pipes")
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), _CONNECT_SECONDS)
        answer: dict[str, Any] = json.loads(line)
        return answer


@asynccontextmanager
async def _engine() -> AsyncIterator[_Engine]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "dialog_bridge.benchmarks.media_engine_process",
        *map(str, _PORTS),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    try:
        yield _Engine(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await asyncio.wait_for(process.wait(), _CONNECT_SECONDS)


class _Load:
    """Both ends of one call, each sending a packet every 20 ms."""

    def __init__(self, peer: WebPeer, phone: socket.socket, target: tuple[str, int]) -> None:
        self._peer = peer
        self._phone = phone
        self._target = target
        self._sequence = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._loop.add_reader(phone.fileno(), self._drain)

    def start(self, delay: float) -> None:
        self._due = self._loop.time() + delay
        self._timer = self._loop.call_at(self._due, self._send)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._phone.fileno())

    def _send(self) -> None:
        self._peer.send(PCMU.payload_type, _PAYLOAD, step=_STEP)
        header = HEADER.pack(VERSION_2, 0, self._sequence & 0xFFFF, self._sequence * _STEP & 0xFFFFFFFF, 1)
        self._phone.sendto(header + _PAYLOAD, self._target)
        self._sequence += 1
        self._due += PACKET_SECONDS
        self._timer = self._loop.call_at(self._due, self._send)

    def _drain(self) -> None:
        self._phone.recv(2048)


@asynccontextmanager
async def _call(engine: _Engine, number: int, certificates: Certificates) -> AsyncIterator[_Load]:
    settings = MediaSettings(ice_loopback=True)
    peer = WebPeer(settings, certificates.current(), lambda _packet: None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.setblocking(False)
        phone.bind(("127.0.0.1", 0))
        try:
            offered = await engine.do(do="offer", call=number, sdp=await peer.offer((PCMU, EVENTS_8000)))
            target = SipDescription.read(offered["sdp"].encode()).rtp
            said = SipOffer("127.0.0.1", phone.getsockname()[1], (PCMU,), Direction.SENDRECV)
            answer = str(said.session(origin_at("127.0.0.1", 1)))
            peer.accept((await engine.do(do="answer", call=number, sdp=answer))["sdp"])
            await peer.connected(_CONNECT_SECONDS)
            if target is None:
                raise ConnectionError("the engine named no address")
            load = _Load(peer, phone, target)
            try:
                yield load
            finally:
                load.close()
        finally:
            await peer.close()


if __name__ == "__main__":
    import uvloop

    _calls, _seconds = int((sys.argv[1:2] or ["50"])[0]), float((sys.argv[2:3] or ["10"])[0])
    sys.stdout.write(json.dumps(asdict(uvloop.run(media_forwarding(_calls, _seconds))), indent=2) + "\n")
