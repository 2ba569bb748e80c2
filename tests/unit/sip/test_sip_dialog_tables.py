"""The tables of SIP dialogs, by cells and by what hypothesis makes of them: no way out of a table, no timer left."""

from __future__ import annotations

from itertools import product

import pytest
from dialog_sip import LocalProtocolError, RemoteProtocolError, Request, Response
from dialog_sip.fields import Progress
from dialog_sip.sip_dialog import (
    EarlyMedia,
    EarlyMediaState,
    InviteGuard,
    Meaning,
    OfferAnswer,
    OfferEvent,
    OfferState,
    ReferNotifier,
    ReferSubscriber,
    ReliableReceiver,
    ReliableResponses,
    SessionTimer,
    SessionTimerSettings,
    calling,
    early_media,
    glare,
    glare_delay,
    offer_answer,
    reliable,
    session_timer,
    subscription,
)
from dialog_sip.sip_dialog.glare import GuardEvent, GuardState, retry_after
from dialog_sip.sip_dialog.reliable import MAX_WAITING, ReliableState
from dialog_sip.sip_dialog.session_timer import TimerState
from dialog_sip.sip_dialog.subscription import NotifierState, SubscriberState
from hypothesis import given
from hypothesis import strategies as st

INVITE = Request(
    "INVITE",
    "sip:b@x",
    [
        ("Via", "SIP/2.0/UDP a;branch=z9hG4bK1"), ("From", "<sip:a@x>;tag=1"), ("To", "<sip:b@x>"), ("Call-ID", "c"),
        ("CSeq", "1 INVITE"),
    ],
)  # fmt: skip


def provisional(code: int = 180, tag: str = "t", *headers: tuple[str, str], sdp: bool = False) -> Response:
    kind = "application/sdp" if sdp else None
    return INVITE.respond(code, to_tag=tag, headers=headers, body=b"v=0" if sdp else b"", content_type=kind)


def prack(rseq: int) -> Request:
    return Request("PRACK", "sip:b@x", [("RAck", f"{rseq} 1 INVITE"), ("CSeq", "2 PRACK")])


class TestGuard:
    PEER = (GuardEvent.RECEIVE, GuardEvent.ACK, GuardEvent.END)

    def test_what_a_peer_may_send_has_a_cell_or_a_refusal(self) -> None:
        for state, event in product(GuardState, self.PEER):
            assert (state, event) in glare.TRANSITIONS or (event is GuardEvent.RECEIVE and state in glare.REFUSALS)

    @pytest.mark.parametrize(
        ("owner", "chance", "delay"), [(True, 0.0, 2.1), (True, 1.0, 4.0), (False, 0.0, 0.0), (False, 1.0, 2.0)]
    )
    def test_the_delays_of_section_14_1(self, owner: bool, chance: float, delay: float) -> None:
        assert glare_delay(owner=owner, chance=chance) == pytest.approx(delay)

    @given(st.floats(0, 1), st.booleans())
    def test_are_multiples_of_10_ms(self, chance: float, owner: bool) -> None:
        hundredths = glare_delay(owner=owner, chance=chance) * 100
        assert hundredths == pytest.approx(round(hundredths))
        assert 0 <= retry_after(chance) <= 10

    @given(st.lists(st.sampled_from(GuardEvent), max_size=30))
    def test_random_walks(self, events: list[GuardEvent]) -> None:
        guard, now, statuses = InviteGuard(owner=True), 0.0, set[int]()
        for event in events:
            now += 1
            try:
                if event is GuardEvent.RECEIVE:
                    guard.receive()
                elif event is GuardEvent.GLARE:
                    guard.glare(now, 0.5)
                elif event is GuardEvent.TIMER:
                    guard.handle_timer(now + 10)
                else:
                    guard.apply(event)
            except RemoteProtocolError as error:
                statuses.add(error.status)
            except LocalProtocolError:
                pass
            assert (guard.timer is not None) == (guard.state.value.startswith("waiting"))
        assert statuses <= {491, 500, 481}
        guard.apply(GuardEvent.END)
        assert guard.timer is None


class TestOffers:
    @given(st.lists(st.sampled_from(OfferEvent), max_size=30))
    def test_random_walks(self, events: list[OfferEvent]) -> None:
        offers = OfferAnswer()
        for event in events:
            before = offers.state
            try:
                offers.apply(event)
            except LocalProtocolError:
                assert offers.state is before
                assert (before, event) not in offer_answer.TRANSITIONS

    def test_where_sdp_stands_says_what_it_is(self) -> None:
        offers = OfferAnswer(OfferState.OFFERED)
        assert offers.receive(provisional(180, sdp=True)) is Meaning.PREVIEW
        assert offers.receive(provisional(180)) is Meaning.NOTHING
        assert offers.receive(provisional(183, "t", ("Require", "100rel"), sdp=True)) is Meaning.ANSWER
        # Once more in the 2xx: nothing new (RFC 6337 section 3.1.1).
        assert offers.receive(provisional(200, sdp=True)) is Meaning.NOTHING
        asked = OfferAnswer(OfferState.ASKED)
        assert asked.receive(provisional(180, sdp=True)) is Meaning.NOTHING
        assert asked.receive(provisional(200, sdp=True)) is Meaning.OFFER

    @pytest.mark.parametrize(("state", "status"), [(OfferState.OFFERED, 491), (OfferState.RECEIVED, 500)])
    def test_an_offer_at_a_wrong_time(self, state: OfferState, status: int) -> None:
        update = Request("UPDATE", "sip:b@x", [("Content-Type", "application/sdp")], b"v=0")
        with pytest.raises(RemoteProtocolError) as caught:
            OfferAnswer(state).receive(update)
        assert caught.value.status == status


class TestReliable:
    def test_the_times_of_rfc_3262(self) -> None:
        machine, sent = ReliableResponses(INVITE), []
        machine.send(provisional(), 0.0)
        while machine.timer is not None:
            now = machine.timer
            machine.handle_timer(now)
            sent += [now] * len(machine.take_transmits())
        assert sent == [0.5, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
        assert machine.state is ReliableState.FAILED

    def test_numbers_go_up_by_one(self) -> None:
        machine = ReliableResponses(INVITE, first=7)
        for rseq in (7, 8, 9):
            machine.send(provisional(), 0.0)
            [response] = machine.take_transmits()
            assert (response.headers.get("RSeq"), response.headers.get("Require")) == (str(rseq), "100rel")
            assert machine.receive(prack(rseq), 0.0) is response
        with pytest.raises(RemoteProtocolError):
            machine.receive(prack(9), 0.0)

    def test_a_late_prack_is_still_answered(self) -> None:
        machine = ReliableResponses(INVITE)
        machine.send(provisional(sdp=True), 0.0)
        assert machine.holds_success
        machine.finish(1.0)
        assert machine.receive(prack(1), 1.0) is None
        assert machine.timer is None

    def test_what_waits_is_bounded(self) -> None:
        machine = ReliableResponses(INVITE)
        for _ in range(1 + MAX_WAITING):
            machine.send(provisional(), 0.0)
        with pytest.raises(LocalProtocolError):
            machine.send(provisional(), 0.0)
        with pytest.raises(LocalProtocolError):
            machine.send(INVITE.respond(200, to_tag="t"), 0.0)
        with pytest.raises(LocalProtocolError):
            ReliableResponses(INVITE, first=0)

    @given(st.lists(st.sampled_from(["send", "sdp", "prack", "old", "time", "final"]), max_size=40))
    def test_random_walks(self, steps: list[str]) -> None:
        machine, now, acknowledged = ReliableResponses(INVITE), 0.0, 0
        statuses = set[int]()
        for step in steps:
            now += 0.4
            try:
                if step in {"send", "sdp"}:
                    machine.send(provisional(sdp=step == "sdp"), now)
                elif step == "prack":
                    acknowledged += machine.receive(prack(acknowledged + 1), now) is not None
                elif step == "old":
                    machine.receive(prack(acknowledged), now)
                elif step == "time":
                    machine.handle_timer(now)
                else:
                    machine.finish(now)
            except RemoteProtocolError as error:
                statuses.add(error.status)
            except LocalProtocolError:
                pass
            assert (machine.timer is not None) == (machine.state is ReliableState.WAITING)
        assert statuses <= {481}
        machine.finish(now)
        assert machine.timer is None

    def test_the_caller_takes_each_number_once_and_in_order(self) -> None:
        receiver = ReliableReceiver()

        def reliably(rseq: int, tag: str = "a") -> bool:
            return receiver.receive(provisional(183, tag, ("Require", "100rel"), ("RSeq", str(rseq)))).rack is not None

        assert [reliably(rseq) for rseq in (5, 5, 7, 6, 6, 7)] == [True, False, False, True, False, True]
        assert reliably(1, "b")
        assert receiver.receive(provisional(180, "a")).is_new
        assert not all(reliably(1, f"fork{number}") for number in range(100))


class TestSessionTimer:
    def answer(self, value: str) -> Response:
        return INVITE.respond(200, headers=[("Session-Expires", value)])

    def test_every_cell_is_reached(self) -> None:
        for state, event in product(TimerState, session_timer.TimerEvent):
            has_timer = state in {TimerState.REFRESHER, TimerState.REFRESHING, TimerState.WATCHER}
            missing = event is session_timer.TimerEvent.TIMER and not has_timer
            assert ((state, event) in session_timer.TRANSITIONS) is not missing

    def test_half_then_the_end(self) -> None:
        timer = SessionTimer(SessionTimerSettings())
        timer.receive_response(self.answer("90;refresher=uac"), 0.0)
        assert timer.timer == 45
        assert timer.handle_timer(44) is TimerState.REFRESHER
        assert timer.handle_timer(45) is TimerState.REFRESHING
        # 90 less a third.
        assert timer.timer == 60
        assert timer.handle_timer(60) is TimerState.EXPIRED
        assert timer.timer is None

    @given(
        st.lists(st.sampled_from(["3", "90;refresher=uac", "1800;refresher=uas", "", "time", "end"]), max_size=20),
        st.integers(0, 4000),
    )
    def test_random_walks(self, steps: list[str], pause: int) -> None:
        timer, now = SessionTimer(SessionTimerSettings()), 0.0
        for step in steps:
            now += pause
            if step == "time":
                timer.handle_timer(now)
            elif step == "end":
                timer.end()
            else:
                timer.receive_response(self.answer(step) if step else INVITE.respond(200), now)
            live = timer.state in {TimerState.REFRESHER, TimerState.REFRESHING, TimerState.WATCHER}
            assert (timer.timer is not None) is live
            if timer.timer is not None and step != "time":
                assert timer.timer > now
        timer.end()
        assert timer.timer is None

    def test_who_refreshes(self) -> None:
        def asked(*headers: tuple[str, str]) -> Request:
            request = INVITE.copy()
            for name, value in headers:
                request.headers.add(name, value)
            return request

        plain = SessionTimer(SessionTimerSettings())
        assert plain.answer_headers(asked(("Supported", "timer")), 0.0)[0][1] == "1800;refresher=uac"
        chosen = SessionTimer(SessionTimerSettings())
        uas = asked(("Supported", "timer"), ("Session-Expires", "600;refresher=uas"))
        assert chosen.answer_headers(uas, 0.0) == [("Session-Expires", "600;refresher=uas")]
        assert chosen.state is TimerState.REFRESHER
        off = SessionTimer(SessionTimerSettings(interval=0))
        assert off.answer_headers(asked(("Supported", "timer")), 0.0) == []
        assert off.answer_headers(asked(("Session-Expires", "600")), 0.0) == [("Session-Expires", "600;refresher=uas")]

    def test_422_is_obeyed_up_to_a_bound(self) -> None:
        timer = SessionTimer(SessionTimerSettings(interval=90, longest=1000))
        refusals = [INVITE.respond(422, headers=[("Min-SE", value)]) for value in ("600", "600", "5000")]
        assert [timer.adjust(refusal) for refusal in refusals] == [True, False, False]
        assert timer.request_headers() == [("Session-Expires", "600"), ("Min-SE", 600)]


class TestSubscriptions:
    def notify(self, state: str) -> Request:
        headers = [("Subscription-State", state), ("Content-Type", "message/sipfrag")]
        return Request("NOTIFY", "sip:a@x", headers, b"SIP/2.0 180 Ringing\r\n")

    @given(st.lists(st.sampled_from(["202", "silent", "603", "100", "notify", "last", "bad", "time"]), max_size=20))
    def test_the_side_that_asked(self, steps: list[str]) -> None:
        machine, now, answered = ReferSubscriber(3), 0.0, False
        statuses = set[int]()
        for step in steps:
            now += 20
            try:
                if step in {"202", "603", "100", "silent"}:
                    if answered:
                        continue
                    answered = step != "100"
                    headers = [("Refer-Sub", "false")] if step == "silent" else []
                    machine.receive_response(Response(202 if step == "silent" else int(step), None, headers), now)
                elif step == "time":
                    machine.handle_timer(now)
                else:
                    states = {"notify": "active;expires=30", "last": "terminated;reason=noresource", "bad": ""}
                    machine.receive_notify(self.notify(states[step]), now)
            except RemoteProtocolError as error:
                statuses.add(error.status)
            if machine.state is SubscriberState.OVER:
                assert machine.timer is None
        assert statuses <= {481, 400}
        machine.end()
        assert (machine.state, machine.timer) == (SubscriberState.OVER, None)

    @given(st.lists(st.sampled_from([100, 180, 200, 486, "ok", "481", "time"]), max_size=20))
    def test_the_side_that_was_asked(self, steps: list[int | str]) -> None:
        machine, now, on_its_way, ended = ReferNotifier(3, 0.0), 0.0, 0, False
        for step in steps:
            now += 15
            report = None
            if isinstance(step, int):
                report = machine.report(Progress(step), now)
            elif step == "time":
                report = machine.handle_timer(now)
            elif on_its_way:
                on_its_way -= 1
                report = machine.receive_response(Response(200 if step == "ok" else 481), now)
            if report is not None:
                assert not ended, "nothing follows the last NOTIFY"
                on_its_way += 1
                ended = "terminated" in str(report.headers)
            assert on_its_way <= 1
        machine.end()
        assert (machine.state, machine.timer) == (NotifierState.OVER, None)

    def test_the_newest_is_reported_when_the_last_was_answered(self) -> None:
        machine = ReferNotifier(3, 0.0)
        assert machine.report(Progress(100), 0.0) is not None
        assert machine.report(Progress(180), 0.0) is None
        assert machine.report(Progress(200), 0.0) is None
        last = machine.receive_response(Response(200), 1.0)
        assert last is not None
        assert last.body == b"SIP/2.0 200 OK\r\n"
        assert dict(last.headers) == {"Event": "refer;id=3", "Subscription-State": "terminated;reason=noresource"}

    def test_every_state_can_end(self) -> None:
        assert all((state, subscription.SubscriberEvent.END) in subscription.SUBSCRIBER for state in SubscriberState)
        assert all((state, subscription.NotifierEvent.END) in subscription.NOTIFIER for state in NotifierState)


class TestEarlyMedia:
    def test_the_tables_are_total(self) -> None:
        assert set(early_media.TRANSITIONS) == set(product(EarlyMediaState, early_media.EarlyMediaEvent))
        reliable_states = {state for state, _ in reliable.TRANSITIONS}
        assert reliable_states <= set(ReliableState)
        peer = {event for event in calling.CallingEvent if event is not calling.CallingEvent.TIMER}
        assert all((state, event) in calling.TRANSITIONS for state in calling.CallingState for event in peer)

    @pytest.mark.parametrize(
        ("responses", "state"),
        [
            ([provisional(180)], EarlyMediaState.RINGING),
            ([provisional(183)], EarlyMediaState.SILENT),
            ([provisional(183, sdp=True)], EarlyMediaState.EARLY_MEDIA),
            # Many peers put their answer there and send nothing.
            ([provisional(180, sdp=True)], EarlyMediaState.RINGING),
            ([provisional(183, sdp=True), provisional(180)], EarlyMediaState.EARLY_MEDIA),
            ([provisional(180, "t", ("P-Early-Media", "sendrecv"), sdp=True)], EarlyMediaState.EARLY_MEDIA),
            ([provisional(183, "t", ("P-Early-Media", "inactive"), sdp=True)], EarlyMediaState.RINGING),
            ([provisional(183, sdp=True), INVITE.respond(486, to_tag="t")], EarlyMediaState.OVER),
        ],
    )
    def test_hints(self, responses: list[Response], state: EarlyMediaState) -> None:
        machine = EarlyMedia()
        for response in responses:
            machine.receive(response)
        assert machine.state is state

    def test_packets_prove_it(self) -> None:
        machine = EarlyMedia()
        machine.receive(provisional(180, "a", sdp=True))
        assert machine.media_arrived("a") is EarlyMediaState.EARLY_MEDIA
        assert machine.branch == "a"
