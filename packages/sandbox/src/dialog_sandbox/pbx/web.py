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

    async def bindings(_request: Request) -> JSONResponse:
        return JSONResponse(pbx.bindings())

    async def calls(_request: Request) -> JSONResponse:
        return JSONResponse(pbx.dialer.reports())

    async def call(request: Request) -> JSONResponse:
        report = pbx.dialer.report(request.path_params["name"])
        return JSONResponse({"error": "no such call"}, 404) if report is None else JSONResponse(report)

    async def hangup(request: Request) -> JSONResponse:
        name = request.path_params["name"]
        if not await pbx.dialer.hangup(name):
            return JSONResponse({"error": "no such call"}, 404)
        return JSONResponse(pbx.dialer.report(name))

    async def dial(request: Request) -> JSONResponse:
        try:
            order = _order(request)
            name = await pbx.call(order)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        except LookupError:
            return JSONResponse({"error": "no such phone"}, 404)
        except FlowError as error:
            return JSONResponse({"error": str(error)}, 503)
        return JSONResponse(pbx.dialer.report(name), 202)

    return Starlette(
        routes=[
            Route("/bindings", bindings),
            Route("/calls", calls),
            Route("/calls/{name}", call),
            Route("/calls/{name}", hangup, methods=["DELETE"]),
            Route("/call", dial, methods=["POST"]),
        ]
    )


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
