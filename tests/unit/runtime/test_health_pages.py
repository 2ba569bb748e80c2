"""/healthz, /readyz and /metrics over a socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from dialog_runtime.health import Check, Health
from dialog_runtime.http import PageServer, service_pages
from dialog_runtime.metrics import Metrics
from dialog_runtime.supervise import Supervisor


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
async def port(health: Health) -> AsyncIterator[int]:
    metrics = Metrics()
    metrics.counter("things_total", "Things").inc()
    metrics.watch("depth", "Depth", lambda: 3.5)
    server = PageServer("127.0.0.1", 0, service_pages(health, metrics))
    _, number = await server.open()
    supervisor = Supervisor()
    supervisor.start("pages", server)
    yield number
    await supervisor.stop(5)


async def ask(port: int, request: str) -> tuple[int, str, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    answer = (await asyncio.wait_for(reader.read(), 5)).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), head, body


async def get(port: int, path: str) -> tuple[int, str]:
    status, _, body = await ask(port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
    return status, body


async def test_degraded_is_still_healthy(health: Health, port: int) -> None:
    health.add("kafka", lambda: Check(ok=False, detail="away for 9 s"))
    health.add("media", lambda: Check(ok=True), required=True)
    status, body = await get(port, "/healthz")
    assert status == 200
    assert json.loads(body)["status"] == "degraded"
    assert json.loads(body)["checks"]["kafka"] == {"ok": False, "detail": "away for 9 s"}


async def test_a_required_check_that_fails_is_unhealthy(health: Health, port: int) -> None:
    assert (await get(port, "/healthz"))[0] == 200
    health.add("media", lambda: Check(ok=False), required=True)
    assert (await get(port, "/healthz"))[0] == 503


async def test_ready_from_the_start_to_the_drain(health: Health, port: int) -> None:
    assert (await get(port, "/readyz"))[0] == 503
    health.started = True
    assert (await get(port, "/readyz?x=1"))[0] == 200
    health.draining = True
    assert (await get(port, "/readyz"))[0] == 503


async def test_metrics(port: int) -> None:
    status, body = await get(port, "/metrics")
    assert status == 200
    assert "dialog_sip_things_total 1.0" in body
    assert "dialog_sip_depth 3.5" in body
    assert "process_cpu_seconds_total" in body


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("GET /nope HTTP/1.1\r\n\r\n", 404),
        ("POST /healthz HTTP/1.1\r\n\r\n", 405),
        ("nonsense\r\n\r\n", 400),
        ("GET /healthz SIP/2.0\r\n\r\n", 400),
    ],
)
async def test_bad_requests(port: int, request_: str, status: int) -> None:
    assert (await ask(port, request_))[0] == status


async def test_head_has_no_body(port: int) -> None:
    status, head, body = await ask(port, "HEAD /healthz HTTP/1.1\r\n\r\n")
    assert (status, body) == (200, "")
    assert "Content-Length: " in head


async def test_a_head_without_end_is_given_up(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 5000)
    # Closed with data unread, the connection may end in a reset.
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
