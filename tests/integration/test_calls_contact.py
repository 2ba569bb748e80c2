"""``dialog-ignore-contact-field`` both ways: what requests in a SIP dialog name, with a PBX whose Contact lies."""

from __future__ import annotations

import pytest
from dialog_sandbox.webrtc import WebClient
from dialog_schemas.calls import Accept, Hangup, Incoming
from fixtures.call_stage import CallStage, answer, call, receive

pytestmark = pytest.mark.needs("kafka", "postgres", "sipp")

CONTACT = "sip:elsewhere@192.0.2.1:9"

both_ways = pytest.mark.parametrize("ignore", [False, True])


def target(call_stage: CallStage, ignore: bool) -> str:
    return f"sip:100@127.0.0.1:{call_stage.port}" if ignore else CONTACT


@both_ways
async def test_calling(call_stage: CallStage, ignore: bool) -> None:
    await call_stage.open(**{"dialog-ignore-contact-field": ignore})
    uri = target(call_stage, ignore)
    pbx = await call_stage.sipp(
        receive("INVITE"), answer(200, sdp=True, contact=f"<{CONTACT}>"),
        receive("ACK", uri=uri), receive("BYE", uri=uri), answer(200, tag=False),
    )  # fmt: skip
    await call_stage.start()
    await call_stage.event("call-answered")
    await call_stage.command(Hangup(call_id="call-1"))
    assert await pbx.ended() == 0


@both_ways
async def test_being_called(call_stage: CallStage, ignore: bool) -> None:
    registrar = await call_stage.open(**{"dialog-ignore-contact-field": ignore})
    uri = target(call_stage, ignore)
    pbx = await call_stage.sipp(call(f"<{CONTACT}>"), receive("BYE", uri=uri), answer(200, tag=False), flow=registrar)
    incoming = await call_stage.event("call-incoming")
    assert isinstance(incoming, Incoming)
    client = WebClient()
    call_stage.clients.append(client)
    await call_stage.command(Accept(call_id=incoming.call_id, sdp=await client.answer(incoming.sdp)))
    await call_stage.event("call-answered")
    await call_stage.command(Hangup(call_id=incoming.call_id))
    assert await pbx.ended() == 0
