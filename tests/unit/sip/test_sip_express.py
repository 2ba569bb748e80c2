"""The express lane: REGISTERs known again by their branch, with timers E and F."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from dialog_sip import Request, Response, parse_message
from dialog_sip.aio import Endpoint, Failure, Flow, ServerRequest
from dialog_sip.aio.express import ExpressLane
from dialog_sip.registration.request import build_register
from dialog_sip.registration.settings import Account
from dialog_sip.transactions import Timers
from dialog_sip.transactions.express import COOKIE, ExpressTransactions, Pending
from hypothesis import given
from hypothesis import strategies as st

WITHIN = 5.0


def response_to(branch: str, code: int = 200) -> bytes:
    return f"SIP/2.0 {code} X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch={branch};rport=5060\r\n\r\n".encode()


@pytest.fixture
def transactions() -> ExpressTransactions[str, str]:
    return ExpressTransactions(Timers(t1=0.5))


def due_times(transactions: ExpressTransactions[str, str], until: float) -> list[float]:
    times = []
    while (due := transactions.next()) is not None and due <= until:
        assert transactions.pop(due) is not None
        times.append(due)
    return times


WALK = st.lists(
    st.tuples(st.sampled_from(["begin", "begin reliable", "provisional", "hush", "end", "wait"]), st.integers(0, 9)),
    max_size=60,
)


@given(WALK)
def test_whatever_happens_each_is_over_once_within_timer_f_and_no_timer_is_left(steps: list[tuple[str, int]]) -> None:
    transactions: ExpressTransactions[str, str] = ExpressTransactions(Timers())
    now, begun = 0.0, list[tuple[float, Pending[str, str]]]()

    def wait(until: float) -> float:
        while (due := transactions.next()) is not None and due <= until:
            popped = transactions.pop(due)
            assert popped is not None
            assert popped.over == (due >= popped.ends_at)
        return until

    for what, number in steps:
        if what.startswith("begin"):
            branch = transactions.new_branch()
            one = transactions.begin(branch, b"R", "flow", "owner", now, reliable=what == "begin reliable")
            begun.append((now, one))
        elif what == "wait":
            now = wait(now + number)
        elif begun:
            one = begun[number % len(begun)][1]
            if what == "end":
                transactions.end(one)
            elif not one.over:
                transactions.provisional(one, now) if what == "provisional" else transactions.hush(one)
        assert len(transactions) == sum(not one.over for _, one in begun)
        assert all(one.over or now < at + 32 for at, one in begun)
        # One entry for each, one more for a provisional response, one for a hush.
        assert len(transactions._heap) <= 3 * len(begun)
    wait(now + 33)
    assert (len(transactions), transactions.next(), transactions._heap) == (0, None, [])


def test_branches_differ_and_begin_with_the_cookie(transactions: ExpressTransactions[str, str]) -> None:
    branches = {transactions.new_branch() for _ in range(1000)} | {ExpressTransactions[str, str]().new_branch()}
    assert len(branches) == 1001
    assert all(branch.startswith(COOKIE) for branch in branches)


def test_a_response_is_known_by_its_branch(transactions: ExpressTransactions[str, str]) -> None:
    branch = transactions.new_branch()
    pending = transactions.begin(branch, b"R", "flow", "owner", 0, reliable=False)
    assert transactions.find(response_to(branch)) is pending
    assert transactions.find(response_to(transactions.new_branch())) is None
    assert transactions.find(b"SIP/2.0 200 OK\r\n\r\n") is None
    transactions.end(pending)
    assert transactions.find(response_to(branch)) is None
    assert len(transactions) == 0


def test_retransmissions_double_up_to_t2_then_it_is_over(transactions: ExpressTransactions[str, str]) -> None:
    pending = transactions.begin(transactions.new_branch(), b"R", "flow", "owner", 0, reliable=False)
    assert due_times(transactions, 100) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5, 32.0]
    assert pending.over


def test_a_reliable_transport_gets_no_retransmission(transactions: ExpressTransactions[str, str]) -> None:
    transactions.begin(transactions.new_branch(), b"R", "flow", "owner", 0, reliable=True)
    assert due_times(transactions, 100) == [32.0]


def test_a_provisional_response_slows_retransmissions_down(transactions: ExpressTransactions[str, str]) -> None:
    pending = transactions.begin(transactions.new_branch(), b"R", "flow", "owner", 0, reliable=False)
    transactions.provisional(pending, 0.25)
    assert due_times(transactions, 10) == [4.25, 8.25]


def test_an_answered_request_has_no_timer(transactions: ExpressTransactions[str, str]) -> None:
    transactions.end(transactions.begin(transactions.new_branch(), b"R", "flow", "owner", 0, reliable=False))
    assert transactions.next() is None


@dataclass
class Answers:
    """Hears of every REGISTER."""

    responses: asyncio.Queue[Response] = field(default_factory=asyncio.Queue)
    failures: asyncio.Queue[Failure] = field(default_factory=asyncio.Queue)
    unheard: list[Flow] = field(default_factory=list)
    repeats: bool = True

    def received(self, response: Response) -> None:
        self.responses.put_nowait(response)

    def failed(self, failure: Failure) -> None:
        self.failures.put_nowait(failure)

    def may_repeat(self) -> bool:
        return self.repeats


class Raising(Answers):
    def received(self, response: Response) -> None:
        raise ZeroDivisionError


@dataclass
class Pair:
    """A registrar's endpoint with a lane, and a PBX."""

    lane: ExpressLane
    flow: Flow
    pbx: Endpoint
    answer: Callable[[ServerRequest], object]
    answers: Answers = field(default_factory=Answers)

    def send(self, answers: Answers | None = None) -> None:
        account = Account("sip:alice@pbx", "sip:pbx")
        register = build_register(
            account, target="sip:pbx", call_id=f"c{len(self.lane)}", cseq=1, contact="sip:alice@127.0.0.1", expires=60
        )
        self.lane.send(register, self.flow, answers or self.answers)


@pytest.fixture(params=["udp", "tcp"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    received: list[Request] = []

    def take(server: ServerRequest) -> None:
        received.append(server.request)
        made.answer(server)

    timers = Timers(t1=0.05)
    client, pbx = Endpoint(lambda _request: None), Endpoint(take)
    listener = await pbx.listen(request.param, "127.0.0.1")
    answers = Answers()
    lane = ExpressLane(client, timers, answers.unheard.append)
    flow = await client.connect(request.param, *listener.address)
    made = Pair(lane, flow, pbx, lambda server: server.respond(200), answers)
    yield made
    await client.close()
    await pbx.close()


async def test_the_answer_comes_back(pair: Pair) -> None:
    pair.send()
    assert len(pair.lane) == 1
    response = await asyncio.wait_for(pair.answers.responses.get(), WITHIN)
    assert (response.code, response.cseq.method) == (200, "REGISTER")
    assert len(pair.lane) == 0


async def test_silence_is_a_timeout(pair: Pair) -> None:
    pair.answer = lambda _server: None
    pair.send()
    assert await asyncio.wait_for(pair.answers.failures.get(), WITHIN) is Failure.TIMEOUT
    assert pair.answers.unheard == [pair.flow]


async def test_what_may_not_be_sent_again_is_not_and_still_ends(pair: Pair) -> None:
    seen: list[ServerRequest] = []
    pair.answer = seen.append
    pair.answers.repeats = False
    pair.send()
    assert await asyncio.wait_for(pair.answers.failures.get(), WITHIN) is Failure.TIMEOUT
    assert len(seen) == 1


async def test_a_process_that_was_stopped_reads_its_answers_before_it_sends_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dialog_sip.aio.express.SLEPT", 0.1)
    client = Endpoint(lambda _request: None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as pbx:
        pbx.bind(("127.0.0.1", 0))
        flow = await client.connect("udp", *pbx.getsockname())
        pair = Pair(ExpressLane(client, Timers(t1=0.05)), flow, client, lambda _server: None)
        pair.send()
        data, source = pbx.recvfrom(65535)
        time.sleep(0.3)  # noqa: ASYNC251  nothing of this process runs, as after SIGSTOP
        request = parse_message(data)
        assert isinstance(request, Request)
        pbx.sendto(request.respond(200).encode(), source)
        assert (await asyncio.wait_for(pair.answers.responses.get(), WITHIN)).code == 200
        pbx.setblocking(False)
        with pytest.raises(BlockingIOError):
            pbx.recv(65535)
    await client.close()


async def test_a_closed_flow_fails_what_is_on_its_way(pair: Pair) -> None:
    pair.answer = lambda _server: None
    pair.send()
    pair.flow.close()
    assert await asyncio.wait_for(pair.answers.failures.get(), WITHIN) is Failure.TRANSPORT


async def test_a_callback_that_raises_hurts_only_itself(pair: Pair) -> None:
    pair.send(Raising())
    pair.send()
    assert (await asyncio.wait_for(pair.answers.responses.get(), WITHIN)).code == 200
