"""The simulator as a running thing: sockets, history, and the page that controls it."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from dataclasses import astuple
from typing import Any, Self

from pydantic import ValidationError

from dialog_sandbox.paths import free_port
from dialog_sandbox.simulator.control import Control, WrongRequestError
from dialog_sandbox.simulator.counts import Sample, new_series
from dialog_sandbox.simulator.faults import Faults
from dialog_sandbox.simulator.load import Load
from dialog_sandbox.simulator.registrar import Registrar, User
from dialog_sandbox.simulator.sockets import TcpConnection, Udp

SAMPLE_EVERY = 1.0
"""Seconds between two entries of the history."""


class Server:
    """Use as an async context manager. Port 0 takes a free one; raises :class:`OSError` where a port is taken."""

    def __init__(self, registrar: Registrar, host: str = "127.0.0.1", port: int = 0, http_port: int = 0) -> None:
        self.registrar = registrar
        self._host, self._http_port = host, http_port
        # What the kernel gives for UDP may be taken for TCP.
        self._port = port or free_port(socket.SOCK_DGRAM, socket.SOCK_STREAM)
        self._series = new_series()

    @property
    def port(self) -> int:
        """The SIP port, UDP and TCP."""
        return self._udp.port

    @property
    def http_port(self) -> int:
        """The port of the page."""
        return self._control.port

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._load = Load()
        self._udp = Udp(self._host, self._port, self._handle)
        self._tcp = await loop.create_server(
            lambda: TcpConnection(self._handle, lambda: self.registrar.faults.close_after_200),
            self._host,
            self.port,
        )
        self._control = await Control.open(self._host, self._http_port, self._page)
        self._load.start()
        self._sampling = loop.create_task(self._sample())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._load.stop()
        self._sampling.cancel()
        await asyncio.wait({self._sampling})
        self._udp.close()
        self._tcp.close()
        await self._control.close()

    def state(self) -> dict[str, Any]:
        """Return everything that is known, for JSON."""
        now, registrar = time.monotonic(), self.registrar
        overdue = registrar.overdue(now)
        return {
            "users": len(registrar.users),
            "bound": registrar.bound(now),
            "overdue": overdue,
            "counts": registrar.counts.as_json(),
            "load": self._load.as_json() | {"unsent": self._udp.unsent},
            "faults": registrar.faults.model_dump(mode="json"),
        }

    def _handle(self, data: bytes, source: tuple[str, int]) -> bytes | None:
        return self.registrar.receive(data, source, time.monotonic())

    def _page(self, method: str, path: str, body: bytes) -> object:
        """Answer one request of the page."""
        match method, path:
            case "GET", "/state":
                return self.state()
            case "GET", "/series":
                return [astuple(sample) for sample in self._series]
            case "GET", "/users":
                now = time.monotonic()
                return {name.decode(errors="replace"): _told(user, now) for name, user in self.registrar.users.items()}
            case "GET", "/lapses":
                return self._lapses()
            case "GET", "/oddities":
                wall = time.time() - time.monotonic()
                return [odd._replace(at=wall + odd.at) for odd in self.registrar.counts.oddities]
            case "POST", "/faults":
                return self._set_faults(body)
            case "POST", "/reset":
                self.registrar.reset()
                self._load.reset()
                return {}
            case "POST", "/forget":
                self.registrar.forget(time.monotonic())
                return {}
        raise WrongRequestError(404, f"no {method} {path}")

    def _lapses(self) -> object:
        """Return the lapses with times of the wall clock."""
        now, wall = time.monotonic(), time.time()
        return [lapse._replace(ended=wall + lapse.ended - now) for lapse in self.registrar.lapses(now)]

    def _set_faults(self, body: bytes) -> object:
        try:
            self.registrar.faults = Faults.model_validate(json.loads(body or b"{}"))
        except (ValidationError, ValueError) as error:
            raise WrongRequestError(400, str(error)) from error
        return self.registrar.faults.model_dump(mode="json")

    async def _sample(self) -> None:
        while True:
            now, registrar = time.monotonic(), self.registrar
            lapses = registrar.counts.lapses.count + registrar.overdue(now)
            self._series.append(Sample(time.time(), registrar.counts.registers, registrar.bound(now), lapses))
            await asyncio.sleep(SAMPLE_EVERY)


def _told(user: User, now: float) -> dict[str, Any]:
    return {
        "contact": user.contact.decode(errors="replace"),
        "call_id": user.call_id.decode(errors="replace"),
        "cseq": user.cseq,
        "bound": user.expires_at is not None and user.expires_at > now,
        "bound_at": user.bound_at,
    }
