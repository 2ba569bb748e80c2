"""Opens flows and listeners, shares flows to one address (RFC 3261 section 18.1.1), and closes them all."""

from __future__ import annotations

import asyncio

from dialog_sip.aio.flow import Address, Flow, FlowError, Listener, Receiver
from dialog_sip.aio.target import Target, listen, open_flow
from dialog_sip.aio.tls import TlsOptions


class Connector:
    """The flows and listeners of one endpoint (RFC 3261 section 18.1.1)."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._flows: dict[Target, Flow] = {}
        self._opening: dict[Target, asyncio.Task[Flow]] = {}
        self._listeners: list[Listener] = []

    @property
    def flows(self) -> list[Flow]:
        """The flows that we opened and that are open."""
        return [flow for flow in self._flows.values() if not flow.closed]

    async def connect(self, target: Target, seconds: float) -> Flow:
        """Return the open flow to a target, or open it. Raises :class:`FlowError`."""
        flow = self._flows.get(target)
        if flow is not None and not flow.closed:
            return flow
        task = self._opening.get(target)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._open(target, seconds))
            self._opening[target] = task
            task.add_done_callback(lambda done: self._opened(target, done))
        # Others may wait for the same flow: one that gives up must not end it.
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise FlowError("the endpoint was closed") from None
            raise

    async def listen(self, transport: str, local: Address, tls: TlsOptions | None) -> Listener:
        """Bind a socket for peers. Raises :class:`FlowError`."""
        listener = await listen(transport, local, self._receiver, tls)
        self._listeners.append(listener)
        return listener

    async def close(self) -> None:
        """Close everything and wait until it is closed, within a deadline."""
        opening = list(self._opening.values())
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        flows = self.flows
        for listener in self._listeners:
            listener.close()
        for flow in flows:
            flow.close()
        self._listeners.clear()
        await asyncio.gather(*(flow.wait_closed() for flow in flows))

    async def _open(self, target: Target, seconds: float) -> Flow:
        try:
            async with asyncio.timeout(seconds):
                flow = await open_flow(target, self._receiver)
        except TimeoutError as error:
            host, port = target.remote
            raise FlowError(f"no {target.transport} to {host}:{port} within {seconds:g} s") from error
        self._flows[target] = flow
        flow.on_closed.append(lambda _: self._forget(target))
        return flow

    def _forget(self, target: Target) -> None:
        self._flows.pop(target, None)

    def _opened(self, target: Target, task: asyncio.Task[Flow]) -> None:
        del self._opening[target]
        if not task.cancelled():
            # Marks the error as seen, should every waiter have gone away.
            task.exception()
