"""The simulator as a child process, and its page from the other side."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr

from dialog_sandbox.errors import SandboxError
from dialog_sandbox.process import Child
from dialog_sandbox.simulator.counts import Lapse, Oddity, Sample
from dialog_sandbox.simulator.faults import Faults

_READY_WITHIN = 20.0
_ANSWER_WITHIN = 10.0
_POLL = 0.02


@dataclass(frozen=True, slots=True)
class State:
    """The state page (see ``counts`` and ``load`` for what the numbers are)."""

    bound: int
    overdue: int
    counts: dict[str, Any]
    load: dict[str, Any]

    @property
    def lapses(self) -> int:
        """Bindings that ended unrefreshed, whether somebody came for them afterwards or not."""
        return int(self.counts["lapses"]) + self.overdue


class Simulator:
    """One process; use as an async context manager. Raises :class:`SandboxError` if it does not start."""

    def __init__(
        self,
        password: SecretStr,
        folder: Path,
        *,
        port: int = 0,
        expires: int = 3600,
        nonce_uses: int = 0,
        seed: int = 0,
    ) -> None:
        self._password = password
        self._log = folder / "simulator.log"
        self._options = ("--port", port, "--expires", expires, "--nonce-uses", nonce_uses, "--seed", seed)
        self._child: Child | None = None
        self.port = port
        """The SIP port, once it runs."""
        self._http_port = 0

    @property
    def pid(self) -> int:
        """Process id while it runs."""
        if self._child is None:
            raise SandboxError("the simulator does not run")
        return self._child.pid

    async def __aenter__(self) -> Self:
        self._log.unlink(missing_ok=True)
        argv = [sys.executable, "-m", "dialog_sandbox.simulator", *map(str, self._options)]
        env = os.environ | {"SIP_PASSWORD": self._password.get_secret_value()}
        self._child = Child.spawn(argv, log=self._log, env=env)
        try:
            async with asyncio.timeout(_READY_WITHIN):
                self.port, self._http_port = await self._ready(self._child)
        except TimeoutError:
            await self.__aexit__()
            raise SandboxError("the simulator is not ready in time") from None
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._child is not None:
            child, self._child = self._child, None
            await child.stop_async(2)

    async def state(self) -> State:
        """Return the state page."""
        page = await self._ask("GET", "/state")
        return State(page["bound"], page["overdue"], page["counts"], page["load"])

    async def series(self) -> list[Sample]:
        """Return the history, one sample a second."""
        return [Sample(*fields) for fields in await self._ask("GET", "/series")]

    async def lapses(self) -> list[Lapse]:
        """Return the bindings that ended unrefreshed; ``ended`` is in seconds of the wall clock."""
        return [Lapse(*fields) for fields in await self._ask("GET", "/lapses")]

    async def oddities(self) -> list[Oddity]:
        """Return the REGISTERs that should not have come; ``at`` is in seconds of the wall clock."""
        return [Oddity(*fields) for fields in await self._ask("GET", "/oddities")]

    async def users(self) -> dict[str, dict[str, Any]]:
        """Return what is known of each user: contact, call_id, cseq, bound, bound_at (on a clock for all)."""
        users: dict[str, dict[str, Any]] = await self._ask("GET", "/users")
        return users

    async def set(self, faults: Faults) -> None:
        """Switch faults: what is not said is as without any."""
        await self._ask("POST", "/faults", faults.model_dump_json(exclude_unset=True).encode())

    async def reset(self) -> None:
        """Count from zero again."""
        await self._ask("POST", "/reset")

    async def forget(self) -> None:
        """Lose every binding."""
        await self._ask("POST", "/forget")

    async def until_bound(self, count: int, *, within: float) -> State:
        """Wait until at least so many users are bound. Raises :class:`TimeoutError`."""
        async with asyncio.timeout(within):
            while True:
                state = await self.state()
                if state.bound >= count:
                    return state
                await asyncio.sleep(0.1)

    async def _ready(self, child: Child) -> tuple[int, int]:
        while True:
            for line in self._log.read_text().splitlines():
                if line.startswith("ready "):
                    _, port, http_port = line.split()
                    return int(port), int(http_port)
            if child.returncode() is not None:
                raise SandboxError(f"the simulator ended: {child.last_line()}")
            await asyncio.sleep(_POLL)

    async def _ask(self, method: str, path: str, body: bytes = b"") -> Any:  # noqa: ANN401  JSON
        async with asyncio.timeout(_ANSWER_WITHIN):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._http_port)
            try:
                head = f"{method} {path} HTTP/1.1\r\nHost: simulator\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                status = (await reader.readline()).split()
                _, _, answer = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
        if status[1:2] != [b"200"]:
            raise SandboxError(f"the simulator refuses {method} {path}: {answer.decode(errors='replace')}")
        return json.loads(answer)
