"""Keeps a phone registered until told otherwise: drives a :class:`dialog_sip.registration.Registration`."""

from __future__ import annotations

import asyncio
import random

from dialog_sip import Request, Response
from dialog_sip.aio import FlowError, RequestFailedError
from dialog_sip.registration import Account, Registration, RegistrationSettings, RegistrationState

from dialog_sandbox.phone.line import MAX_CHALLENGES, Line


class Registering:
    """One phone's registration. :meth:`stop` ends it."""

    def __init__(self, line: Line, expires: int) -> None:
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._registration = Registration(
            Account(line.aor, f"sip:{line.domain}"),
            RegistrationSettings(expires=expires, interval=expires),
            call_id=line.new_call_id(),
            contact=line.contact,
        )
        self._changed = asyncio.Event()
        self._wake = asyncio.Event()
        self._task = self._loop.create_task(self._run(), name=f"register-{line.user}")

    @property
    def registration(self) -> Registration:
        """What the driver drives; for reading."""
        return self._registration

    async def start(self, within: float) -> RegistrationState:
        """Register; return how it stands after the first answer. Raises :class:`TimeoutError`."""
        self._registration.start(self._loop.time())
        return await self._settled(within, {RegistrationState.ASKING, RegistrationState.REGISTERING})

    async def stop(self, within: float) -> None:
        """Unregister, for at most ``within`` seconds, and stop driving."""
        self._registration.stop(self._loop.time())
        try:
            await self._settled(within, set(RegistrationState) - {RegistrationState.IDLE, RegistrationState.DEPARTING})
        except TimeoutError:
            # The binding lapses by itself.
            pass
        finally:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _settled(self, within: float, unsettled: set[RegistrationState]) -> RegistrationState:
        self._wake.set()
        async with asyncio.timeout(within):
            while self._registration.state in unsettled:
                self._changed.clear()
                await self._changed.wait()
        return self._registration.state

    async def _run(self) -> None:
        while True:
            if self._registration.wants_to_send:
                await self._send()
                self._changed.set()
            timer = self._registration.timer
            left = None if timer is None else max(0.0, timer - self._loop.time())
            if not self._registration.wants_to_send:
                await self._sleep(left)
            self._registration.handle_timer(self._loop.time())

    async def _sleep(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _send(self) -> None:
        request = self._registration.request(self._loop.time())
        try:
            response = await self._answered(request)
        except (FlowError, RequestFailedError) as error:
            self._registration.fail(str(error), self._loop.time(), random.random())  # noqa: S311 - spreads load
        else:
            self._registration.receive(response, self._loop.time(), random.random())  # noqa: S311

    async def _answered(self, request: Request) -> Response:
        response = await self._line.start(request).final()
        for _ in range(MAX_CHALLENGES):
            again = self._line.again(request, response)
            cseq = None if again is None else self._registration.next_cseq(self._loop.time())
            if again is None or cseq is None:
                break
            again.headers.set("CSeq", f"{cseq} REGISTER")
            request = again
            response = await self._line.start(request).final()
        return response
