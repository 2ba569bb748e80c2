"""The PBX's HTTP pages: who is registered, make a phone call, what became of it."""

from __future__ import annotations

from dialog_sip.aio import FlowError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from dialog_sandbox.pbx.dialing import LASTS, Order
from dialog_sandbox.pbx.pbx import Pbx
from dialog_sandbox.pbx.phones import TONE

MAX_NAME = 256


def make_app(pbx: Pbx) -> Starlette:
    """Return the ASGI application."""
    pages = _Pages(pbx)
    return Starlette(
        routes=[
            Route("/bindings", pages.bindings),
            Route("/calls", pages.calls),
            Route("/calls/{name}", pages.call),
            Route("/calls/{name}", pages.hangup, methods=["DELETE"]),
            Route("/call", pages.dial, methods=["POST"]),
        ]
    )


class _Pages:
    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx
        self._dialer = pbx.dialer

    async def bindings(self, _request: Request) -> JSONResponse:
        return JSONResponse(self._pbx.bindings())

    async def calls(self, _request: Request) -> JSONResponse:
        return JSONResponse(self._dialer.reports())

    async def call(self, request: Request) -> JSONResponse:
        report = self._dialer.report(request.path_params["name"])
        return _refused("no such call", 404) if report is None else JSONResponse(report)

    async def hangup(self, request: Request) -> JSONResponse:
        name = request.path_params["name"]
        if not await self._dialer.hangup(name):
            return _refused("no such call", 404)
        return JSONResponse(self._dialer.report(name))

    async def dial(self, request: Request) -> JSONResponse:
        try:
            name = await self._pbx.call(_order(request))
        except ValueError as error:
            return _refused(str(error), 400)
        except LookupError:
            return _refused("no such phone", 404)
        except FlowError as error:
            return _refused(str(error), 503)
        return JSONResponse(self._dialer.report(name), 202)


def _refused(why: str, status: int) -> JSONResponse:
    return JSONResponse({"error": why}, status)


def _order(request: Request) -> Order:
    """Read ``?from=tone&to=434``, and ``hertz`` and ``seconds`` where given. Raises :class:`ValueError`."""
    query = request.query_params
    user, to = query.get("from", "tone"), query.get("to", "")
    if not to or len(to) > MAX_NAME or not to.isprintable() or any(char in to for char in ' <>"'):
        raise ValueError("to: the user to call")
    hertz, seconds = float(query.get("hertz", TONE)), float(query.get("seconds", LASTS))
    if not 20 <= hertz <= 3900:
        raise ValueError("hertz: 20 to 3900")
    if not 0 < seconds <= LASTS:
        raise ValueError(f"seconds: up to {LASTS:g}")
    return Order(user, to, hertz, seconds)
