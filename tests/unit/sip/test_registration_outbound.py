"""Outbound, Path, several Contacts, others' bindings, what a 423 leaves behind, and keepalives."""

from __future__ import annotations

from itertools import product

import pytest
from dialog_sip import LocalProtocolError, Request, Response
from dialog_sip.registration import (
    Account,
    Keepalive,
    KeepaliveState,
    Registration,
    RegistrationSettings,
    RegistrationState,
    build_query,
    keepalive_delay,
)
from dialog_sip.registration.keepalive import TRANSITIONS, KeepaliveEvent
from hypothesis import given
from hypothesis import strategies as st

ACCOUNT = Account("sip:434@pbx.example.com", "sip:pbx.example.com")
CONTACT = "sip:434@192.0.2.1:5062"
INSTANCE = "urn:uuid:00000000-0000-1000-8000-000A95A0E128"


def make(settings: RegistrationSettings | None = None, **options: object) -> Registration:
    return Registration(
        ACCOUNT,
        settings or RegistrationSettings(),
        call_id="c1",
        contact=CONTACT,
        **options,  # type: ignore[arg-type]
    )


def started(registration: Registration, now: float = 0.0) -> Request:
    registration.start(now)
    return registration.request(now)


def answer(registration: Registration, code: int, *headers: tuple[str, str], now: float = 0.0) -> None:
    registration.receive(Response(code, None, headers), now, 1.0)


def test_what_a_registrar_with_outbound_says() -> None:
    registration = make(RegistrationSettings(instance=INSTANCE, reg_id=2))
    request = started(registration)
    assert request.headers.get("Contact") == f'<{CONTACT}>;expires=1800;reg-id=2;+sip.instance="<{INSTANCE}>"'
    answer(
        registration, 200, ("Contact", f"<{CONTACT}>;expires=600"), ("Require", "outbound"), ("Flow-Timer", "120"),
        ("Path", "<sip:edge1;lr;ob>, <sip:edge2;lr>"), ("Service-Route", "<sip:home;lr>"),
    )  # fmt: skip
    binding = registration.binding
    assert binding is not None
    assert (binding.is_outbound, binding.flow_timer) == (True, 120)
    assert binding.path == ("<sip:edge1;lr;ob>", "<sip:edge2;lr>")
    assert binding.service_routes == ("<sip:home;lr>",)
    assert binding.others == ()


def test_what_cannot_be_read_is_left_out() -> None:
    registration = make()
    started(registration)
    answer(
        registration, 200, ("Contact", f"<{CONTACT}>;expires=600"), ("Path", '"<sip:x, <sip:y>'), ("Flow-Timer", "x")
    )
    binding = registration.binding
    assert binding is not None
    assert (binding.path, binding.flow_timer, binding.is_outbound) == ((), None, False)


def test_439_means_without_outbound() -> None:
    registration = make(RegistrationSettings(instance=INSTANCE))
    started(registration)
    answer(registration, 439)
    assert registration.state is RegistrationState.ASKING
    again = registration.request(0.0)
    assert again.headers.get("Contact") == f"<{CONTACT}>;expires=1800"
    assert again.headers.get("Supported") == "path"
    answer(registration, 439)
    assert registration.state is RegistrationState.REJECTED


def test_several_contacts_of_ours() -> None:
    registration = make(also=("sip:434@198.51.100.1:5062",))
    request = started(registration)
    assert [contact.uri_text for contact in request.contacts] == [CONTACT, "sip:434@198.51.100.1:5062"]
    answer(
        registration, 200, ("Contact", f"<{CONTACT}>;expires=600"),
        ("Contact", "<sip:434@198.51.100.1:5062>;expires=300"), ("Contact", "<sip:desk@203.0.113.1>;expires=10"),
    )  # fmt: skip
    binding = registration.binding
    assert binding is not None
    # The shorter of ours counts, that of others does not.
    assert binding.granted == 300
    assert [other.uri_text for other in binding.others] == ["sip:desk@203.0.113.1"]
    registration.stop(1.0)
    gone = registration.request(1.0)
    assert [(contact.uri_text, contact.expires) for contact in gone.contacts] == [
        (CONTACT, 0), ("sip:434@198.51.100.1:5062", 0),
    ]  # fmt: skip


def test_what_a_423_wants_is_remembered_for_a_day() -> None:
    registration = make(RegistrationSettings(expires=60))
    started(registration)
    answer(registration, 423, ("Min-Expires", "3600"))
    assert registration.request(1.0).expires == 3600
    answer(registration, 200, ("Contact", f"<{CONTACT}>;expires=3600"), now=1.0)
    registration.refresh(3000.0)
    assert registration.request(3000.0).expires == 3600
    answer(registration, 200, ("Contact", f"<{CONTACT}>;expires=3600"), now=3000.0)
    registration.refresh(90_000.0)
    assert registration.request(90_000.0).expires == 60


def test_a_query_changes_nothing() -> None:
    query = build_query(ACCOUNT, call_id="c1", cseq=7)
    assert ("Contact" in query.headers, "Expires" in query.headers, query.cseq.number) == (False, False, 7)


class TestKeepalive:
    @pytest.mark.parametrize(
        ("reliable", "flow_timer", "low", "high"),
        [(True, None, 95, 120), (False, None, 24, 29), (True, 100, 80, 100), (False, 30, 24, 30), (True, 0, 95, 120)],
    )
    def test_delays(self, reliable: bool, flow_timer: int | None, low: float, high: float) -> None:
        delays = [keepalive_delay(reliable=reliable, flow_timer=flow_timer, chance=chance) for chance in (0.0, 1.0)]
        assert delays == [low, high]

    def test_a_pong_in_time_and_one_that_never_comes(self) -> None:
        flow = Keepalive(0.0, 0.0, reliable=True)
        assert flow.handle_timer(94.0) is KeepaliveState.QUIET
        assert flow.handle_timer(95.0) is KeepaliveState.PINGED
        assert flow.timer == 105
        flow.heard(96.0, 0.0)
        assert flow.timer == 96 + 95
        flow.take_flow_timer(10, 100.0, 1.0)
        assert flow.timer == 110
        flow.handle_timer(110.0)
        assert flow.handle_timer(120.0) is KeepaliveState.DEAD
        assert flow.timer is None
        flow.heard(121.0, 0.5)
        assert flow.state is KeepaliveState.DEAD

    def test_over_udp_a_ping_is_repeated_for_39_s(self) -> None:
        flow = Keepalive(0.0, 0.0, reliable=False)
        at = []
        while flow.timer is not None:
            at.append(flow.timer - 24)
            flow.handle_timer(flow.timer)
        assert at == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 39.5]
        assert flow.state is KeepaliveState.DEAD

    def test_an_answer_counts_from_its_ping(self) -> None:
        flow = Keepalive(0.0, 0.0, reliable=False)
        flow.handle_timer(24.0)
        flow.handle_timer(24.5)
        flow.heard(24.0, 0.0)
        assert (flow.state, flow.timer) == (KeepaliveState.QUIET, 48)

    def test_another_address_is_another_flow(self) -> None:
        flow = Keepalive(0.0, 0.0, reliable=False)
        assert flow.seen_as(("192.0.2.1", 5060)) is KeepaliveState.QUIET
        assert flow.seen_as(("192.0.2.1", 5060)) is KeepaliveState.QUIET
        assert flow.seen_as(("192.0.2.1", 5061)) is KeepaliveState.DEAD
        assert flow.timer is None

    def test_all_cells_that_can_be_met(self) -> None:
        missing = set(product(KeepaliveState, KeepaliveEvent)) - set(TRANSITIONS)
        assert missing == {
            (KeepaliveState.DEAD, KeepaliveEvent.TIMER),
            (KeepaliveState.DEAD, KeepaliveEvent.REPEAT),
            (KeepaliveState.QUIET, KeepaliveEvent.REPEAT),
        }

    @given(st.lists(st.tuples(st.floats(0, 200), st.booleans()), max_size=30))
    def test_random_walks(self, steps: list[tuple[float, bool]]) -> None:
        flow, now = Keepalive(0.0, 0.5, reliable=False), 0.0
        for seconds, hears in steps:
            now += seconds
            flow.heard(now, 0.5) if hears else flow.handle_timer(now)
            assert (flow.timer is None) == (flow.state is KeepaliveState.DEAD)


def test_nothing_is_asked_while_nothing_is_wanted() -> None:
    with pytest.raises(LocalProtocolError):
        make().request(0.0)
