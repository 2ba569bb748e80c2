"""Whatever a peer sends, in whatever order, the layer raises nothing, stays bounded and ends by time alone."""

from dialog_sip import LocalProtocolError, RemoteProtocolError, parse_message
from fixtures.sip_layer import LayerBench, sip
from hypothesis import given, settings
from hypothesis import strategies as st

METHODS = ["INVITE", "ACK", "CANCEL", "OPTIONS", "BYE", "REGISTER"]
BITS = [b"", b"\r\n", b"\n", b'"', b"<", b">", b",", b";", b"\xff", b"\0", b":", b" ", b"9", b"z9hG4bK"]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A request or a response of a peer's, with some bytes replaced."""
    branch = draw(st.sampled_from(["z9hG4bK-1", "z9hG4bKtoken1", "z9hG4bKtoken2", "old"]))
    message = sip(draw(st.sampled_from(METHODS)), branch=branch, cseq=draw(st.integers(1, 2)))
    if draw(st.booleans()):
        data = bytearray(message.respond(draw(st.sampled_from([100, 180, 200, 302, 401, 486, 699]))).encode())
    else:
        data = bytearray(message.encode())
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data) - 1))
        data[start : start + draw(st.integers(0, 3))] = draw(st.sampled_from(BITS))
    return bytes(data)


def take_in(bench: LayerBench, data: bytes) -> None:
    """Do as the endpoint does with a datagram."""
    try:
        bench.layer.receive(parse_message(data), bench.flow, bench.now)
    except RemoteProtocolError as error:
        if error.request is not None:
            bench.layer.refuse(error.request, error, bench.flow)


def answer_all(bench: LayerBench, code: int) -> None:
    for name in list(bench.layer._store.by_id):
        try:
            bench.respond(name, code)
        except LocalProtocolError:
            continue


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(damaged(), st.sampled_from([180, 200, 486]), st.floats(0.01, 40.0)), max_size=20),
    st.sampled_from(["udp", "tcp"]),
)
def test_any_order_of_anything(steps: list[bytes | int | float], transport: str) -> None:
    bench = LayerBench(transport, limit=8)
    for method in ("INVITE", "OPTIONS"):
        bench.send(sip(method))
    for step in steps:
        if isinstance(step, bytes):
            take_in(bench, step)
        elif isinstance(step, float):
            bench.advance(step)
        else:
            answer_all(bench, step)
        assert len(bench.layer) <= 8 + 2
    bench.advance(2000.0)
    assert len(bench.layer) == 0
    # All that went out can be read by a peer; what is refused goes back with the lines that it came with.
    for message in bench.wire():
        assert "Via" in message.headers
