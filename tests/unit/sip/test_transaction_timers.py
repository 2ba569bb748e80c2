"""The timers of RFC 3261 section 17, by moving a clock."""

import pytest
from dialog_sip.transactions import Timers
from fixtures.sip_layer import LayerBench, sip


def sending_times(bench: LayerBench, until: float, *, skip: int = 0) -> list[float]:
    """Let time pass and return when something was sent, in seconds from now."""
    start = bench.now
    times: list[float] = []
    while (due := bench.layer.timer()) is not None and due <= start + until:
        bench.now = due
        bench.layer.handle_timer(due)
        times += [round(due - start, 3)] * len(bench.sent())
    bench.now = start + until
    return times[skip:]


def test_an_invite_is_sent_seven_times_and_then_given_up() -> None:
    bench = LayerBench()
    bench.send(sip("INVITE"))
    assert bench.sent() == ["INVITE"]
    assert sending_times(bench, 100) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert bench.heard() == ["Timeout", "Terminated"]


def test_another_request_is_sent_eleven_times_with_at_most_t2_between() -> None:
    bench = LayerBench()
    bench.send(sip("OPTIONS"))
    assert bench.sent() == ["OPTIONS"]
    assert sending_times(bench, 100) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert bench.heard() == ["Timeout", "Terminated"]


def test_a_provisional_response_slows_a_request_down_to_t2() -> None:
    bench = LayerBench()
    name = bench.send(sip("OPTIONS"))
    bench.clear()
    bench.answer(name, 100)
    assert sending_times(bench, 100) == [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    assert bench.heard() == ["ResponseReceived", "Timeout", "Terminated"]


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_nothing_is_sent_again_over_a_reliable_transport(method: str) -> None:
    bench = LayerBench("tcp")
    bench.send(sip(method))
    bench.clear()
    assert sending_times(bench, 31.9) == []
    assert bench.heard() == []
    bench.advance(0.2)
    assert bench.heard() == ["Timeout", "Terminated"]


def test_a_provisional_response_ends_the_retransmissions_of_an_invite() -> None:
    bench = LayerBench()
    name = bench.send(sip("INVITE"))
    bench.advance(0.6)
    bench.answer(name, 180)
    bench.clear()
    assert sending_times(bench, 150) == []
    assert bench.heard() == []


def test_an_invite_that_rings_too_long_is_cancelled_and_then_given_up() -> None:
    bench = LayerBench()
    name = bench.send(sip("INVITE"))
    bench.answer(name, 180)
    bench.advance(150.0)
    bench.answer(name, 183)
    bench.clear()
    bench.advance(199.9)
    assert bench.sent() == []
    bench.advance(0.2)
    assert bench.sent() == ["CANCEL"]
    assert bench.heard() == []
    bench.advance(32.0)
    assert bench.heard() == ["Timeout", "Terminated"]
    assert len(bench.layer) == 0


@pytest.mark.parametrize(("method", "code", "udp"), [("INVITE", 486, 32.0), ("OPTIONS", 200, 5.0)])
def test_a_finished_client_absorbs_retransmissions_for_a_while(method: str, code: int, udp: float) -> None:
    bench = LayerBench()
    name = bench.send(sip(method))
    bench.answer(name, code)
    bench.clear()
    bench.advance(udp - 0.1)
    assert bench.heard() == []
    bench.advance(0.2)
    assert bench.heard() == ["Terminated"]


@pytest.mark.parametrize(("method", "code"), [("INVITE", 486), ("OPTIONS", 200)])
def test_over_a_reliable_transport_it_is_over_at_once(method: str, code: int) -> None:
    bench = LayerBench("tcp")
    name = bench.send(sip(method))
    bench.answer(name, code)
    assert bench.heard() == ["ResponseReceived", "Terminated"]
    assert len(bench.layer) == 0


def test_an_accepted_invite_is_remembered_for_forks_over_any_transport() -> None:
    for transport in ("udp", "tcp"):
        bench = LayerBench(transport)
        name = bench.send(sip("INVITE"))
        bench.answer(name, 200)
        bench.advance(31.9)
        assert bench.heard() == ["ResponseReceived"]
        bench.advance(0.2)
        assert bench.heard() == ["Terminated"]


def test_a_failure_to_an_invite_is_sent_again_until_its_ack() -> None:
    bench = LayerBench()
    name = bench.peer_sends(sip("INVITE", branch="z9hG4bK-1"))
    bench.respond(name, 486)
    bench.clear()
    assert sending_times(bench, 12) == [0.5, 1.5, 3.5, 7.5, 11.5]
    bench.receive(sip("ACK", branch="z9hG4bK-1"))
    assert sending_times(bench, 100) == []
    assert bench.heard() == ["Terminated"]


def test_a_failure_that_is_never_acked_ends_quietly() -> None:
    bench = LayerBench()
    name = bench.peer_sends(sip("INVITE", branch="z9hG4bK-1"))
    bench.respond(name, 486)
    bench.clear()
    assert sending_times(bench, 100) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert bench.heard() == ["Terminated"]


def test_a_failure_is_not_sent_again_over_a_reliable_transport() -> None:
    bench = LayerBench("tcp")
    name = bench.peer_sends(sip("INVITE", branch="z9hG4bK-1"))
    bench.respond(name, 486)
    bench.clear()
    assert sending_times(bench, 31) == []
    bench.receive(sip("ACK", branch="z9hG4bK-1"))
    assert bench.heard() == ["Terminated"]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_2xx_is_sent_again_over_any_transport_until_its_ack(transport: str) -> None:
    bench = LayerBench(transport)
    name = bench.peer_sends(sip("INVITE", branch="z9hG4bK-1"))
    bench.respond(name, 200)
    bench.clear()
    assert sending_times(bench, 4) == [0.5, 1.5, 3.5]
    bench.receive(sip("ACK", branch="z9hG4bK-other"))
    assert sending_times(bench, 100) == []
    assert bench.heard() == ["AckReceived", "Terminated"]


def test_a_2xx_that_is_never_acked_is_reported_after_64_t1() -> None:
    bench = LayerBench()
    name = bench.peer_sends(sip("INVITE", branch="z9hG4bK-1"))
    bench.respond(name, 200)
    bench.clear()
    assert sending_times(bench, 100) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert bench.heard() == ["AckTimeout", "Terminated"]


@pytest.mark.parametrize(("transport", "lasting"), [("udp", 32.0), ("tcp", 0.0)])
def test_an_answered_request_absorbs_retransmissions(transport: str, lasting: float) -> None:
    bench = LayerBench(transport)
    name = bench.peer_sends(sip("OPTIONS", branch="z9hG4bK-1"))
    bench.respond(name, 200)
    bench.clear()
    assert len(bench.layer) == (1 if lasting else 0)
    bench.advance(lasting)
    assert len(bench.layer) == 0


def test_a_tu_that_does_not_answer_is_stood_in_for() -> None:
    bench = LayerBench(timers=Timers(u=10.0, u_invite=60.0))
    bench.peer_sends(sip("INVITE", branch="z9hG4bK-1"))
    bench.peer_sends(sip("OPTIONS", branch="z9hG4bK-2"))
    bench.clear()
    bench.advance(10.0)
    assert bench.sent() == ["100", "500"]
    bench.advance(49.9)
    assert bench.sent() == []
    bench.advance(0.1)
    [refusal] = bench.wire()
    assert refusal.headers.get("Retry-After") == "5"
    assert bench.heard().count("ServerTimeout") == 2


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_request_that_waits_is_told_100_when_its_client_is_down_to_t2(transport: str) -> None:
    bench = LayerBench(transport)
    name = bench.peer_sends(sip("OPTIONS", branch="z9hG4bK-1"))
    bench.advance(3.49)
    assert bench.sent() == []
    bench.advance(0.01)
    assert bench.sent() == ["100"]
    bench.receive(sip("OPTIONS", branch="z9hG4bK-1"))
    assert bench.sent() == ["100"]
    bench.respond(name, 200)
    bench.advance(10.0)
    assert bench.sent() == ["200"]


def test_ringing_keeps_a_request_alive() -> None:
    bench = LayerBench(timers=Timers(u_invite=60.0))
    name = bench.peer_sends(sip("INVITE", branch="z9hG4bK-1"))
    for _ in range(5):
        bench.advance(50.0)
        bench.respond(name, 180)
    assert bench.heard() == ["RequestReceived"]


def test_the_durations_are_settings() -> None:
    bench = LayerBench(timers=Timers(t1=0.1, t2=0.4))
    bench.send(sip("OPTIONS"))
    bench.clear()
    assert sending_times(bench, 10)[:5] == [0.1, 0.3, 0.7, 1.1, 1.5]
    assert bench.heard() == ["Timeout", "Terminated"]


def test_a_late_timer_does_its_work_once() -> None:
    bench = LayerBench()
    bench.send(sip("INVITE"))
    bench.clear()
    bench.now += 20.0
    bench.layer.handle_timer(bench.now)
    assert bench.sent() == ["INVITE"]
    assert bench.layer.timer() == bench.now + 1.0


def test_handling_timers_too_early_changes_nothing() -> None:
    bench = LayerBench()
    bench.send(sip("INVITE"))
    bench.clear()
    bench.layer.handle_timer(bench.now + 0.499)
    assert bench.sent() == []
    assert bench.layer.timer() == bench.now + 0.5


def test_the_queue_holds_about_one_entry_a_transaction() -> None:
    bench = LayerBench(limit=10_000)
    for _ in range(200):
        name = bench.send(sip("OPTIONS"))
        bench.answer(name, 100)
        bench.answer(name, 200)
    assert len(bench.layer._engine.queue._heap) <= 400
    bench.advance(60.0)
    assert bench.layer.timer() is None
    assert bench.layer._engine.queue._heap == []
