"""One registration through what PBXs answer. Time is a number that the tests move."""

from __future__ import annotations

import pytest
from dialog_sip import LocalProtocolError, Request, Response
from dialog_sip.registration import (
    Account,
    Binding,
    Registration,
    RegistrationSettings,
)
from dialog_sip.registration import RegistrationState as S
from dialog_sip.registration.machine import IN_FLIGHT, TRANSITIONS, Action, RegistrationEvent
from dialog_sip.registration.timing import LIMIT, LIMIT_PERIOD, with_untold
from hypothesis import given
from hypothesis import strategies as st

CONTACT = "sip:434@192.0.2.1:5062"
ACCOUNT = Account("sip:434@pbx.example.com", "sip:pbx.example.com")
SETTINGS = RegistrationSettings()


def make(settings: RegistrationSettings = SETTINGS, **options: object) -> Registration:
    return Registration(ACCOUNT, settings, call_id="c1", contact=CONTACT, **options)  # type: ignore[arg-type]


def reply(request: Request, code: int, *headers: tuple[str, str]) -> Response:
    return Response(code, None, [("CSeq", str(request.cseq)), *headers])


def ok(request: Request, granted: int = 60) -> Response:
    return reply(request, 200, ("Contact", f"<{CONTACT}>;expires={granted}"))


def sent(registration: Registration, now: float = 0) -> Request:
    registration.start(now)
    return registration.request(now)


def registered(granted: int = 60, **options: object) -> Registration:
    registration = make(**options)  # type: ignore[arg-type]
    registration.receive(ok(sent(registration), granted), 0, 1)
    return registration


def test_the_first_register() -> None:
    request = sent(make(drop=("sip:434@192.0.2.7:5062", CONTACT)))
    assert (request.method, request.uri, str(request.cseq)) == ("REGISTER", "sip:pbx.example.com", "1 REGISTER")
    assert str(request.to) == "<sip:434@pbx.example.com>"
    assert request.from_.tag
    # The Contact of a dead owner goes with it, ours never.
    assert request.headers.get_all("Contact") == [
        f"<{CONTACT}>;expires=1800",
        "<sip:434@192.0.2.7:5062>;expires=0",
    ]
    assert (request.expires, request.headers.get("Supported")) == (1800, "path")


def test_outbound() -> None:
    request = sent(make(RegistrationSettings(instance="urn:uuid:1")))
    assert request.headers.get("Contact") == f'<{CONTACT}>;expires=1800;reg-id=1;+sip.instance="<urn:uuid:1>"'
    assert request.headers.get("Supported") == "path, outbound"


def test_refresh_comes_before_the_grant_ends_and_keeps_the_call_id() -> None:
    registration = registered(granted=60)
    assert registration.state is S.REGISTERED
    assert registration.timer == pytest.approx(51)
    registration.handle_timer(50)
    assert not registration.wants_to_send
    registration.handle_timer(51)
    assert registration.wants_to_send
    assert registration.is_bound(51)
    again = registration.request(51)
    assert (again.call_id, again.cseq.number) == ("c1", 2)


def test_the_interval_bounds_the_refresh_but_never_beyond_the_grant() -> None:
    assert registered(1800, settings=RegistrationSettings(interval=600)).timer == pytest.approx(600)
    assert registered(60, settings=RegistrationSettings(interval=600)).timer == pytest.approx(51)


def test_a_challenge_takes_the_next_number() -> None:
    registration = make()
    sent(registration)
    assert registration.next_cseq(0) == 2
    assert registration.cseq == 2


def test_only_one_register_is_on_its_way() -> None:
    registration = make()
    sent(registration)
    registration.start(1)
    with pytest.raises(LocalProtocolError):
        registration.request(1)


def test_an_interval_too_brief_is_asked_again_longer() -> None:
    registration = make(RegistrationSettings(expires=60))
    registration.receive(reply(sent(registration), 423, ("Min-Expires", "300")), 0, 1)
    assert registration.request(0).expires == 300


@pytest.mark.parametrize("minimum", ["10", "999999", "x", ""])
def test_a_senseless_min_expires_is_a_failure(minimum: str) -> None:
    registration = make()
    registration.receive(reply(sent(registration), 423, ("Min-Expires", minimum)), 0, 1)
    assert registration.state is S.RETRYING


def test_redirects_are_followed_a_few_times() -> None:
    registration = make()
    request = sent(registration)
    for _ in range(3):
        registration.receive(reply(request, 302, ("Contact", "<sip:other.example.com>")), 0, 1)
        request = registration.request(0)
        assert request.uri == "sip:other.example.com"
    registration.receive(reply(request, 302, ("Contact", "<sip:other.example.com>")), 0, 1)
    assert registration.state is S.RETRYING
    # The next attempt begins at the registrar of the account, and may be redirected again.
    registration.start(60)
    again = registration.request(60)
    assert again.uri == "sip:pbx.example.com"
    registration.receive(reply(again, 302, ("Contact", "<sip:other.example.com>")), 60, 1)
    assert registration.request(60).uri == "sip:other.example.com"


@pytest.mark.parametrize(
    ("code", "state"),
    [(401, S.REJECTED), (403, S.REJECTED), (404, S.REJECTED), (305, S.RETRYING), (480, S.RETRYING), (503, S.RETRYING)],
)
def test_failures(code: int, state: S) -> None:
    registration = make()
    registration.receive(reply(sent(registration), code), 0, 1)
    assert registration.state is state
    assert (registration.last_code, str(code) in registration.reason) == (code, True)


@pytest.mark.parametrize(
    ("value", "jitter", "due"), [("30", 0, 30), ("30 (busy);duration=5", 1, 36), ("99999", 0, 3600), ("x", 1, 4)]
)
def test_retry_after(value: str, jitter: float, due: float) -> None:
    registration = make()
    registration.receive(reply(sent(registration), 503, ("Retry-After", value)), 0, jitter)
    assert registration.timer == pytest.approx(due)


def test_backoff_doubles_stays_below_its_bound_and_never_gives_up() -> None:
    registration = make()
    registration.start(0)
    now, waits = 0.0, []
    for _ in range(2000):
        registration.request(now)
        registration.fail("no answer", now, 1)
        assert registration.timer is not None
        waits.append(registration.timer - now)
        now = registration.timer
        registration.handle_timer(now)
        if registration.timer is not None:
            now = registration.timer
            registration.handle_timer(now)
    assert waits[:6] == pytest.approx([4, 8, 16, 32, 64, 120])
    assert max(waits) == pytest.approx(120)


def test_a_good_moment_ends_the_wait() -> None:
    registration = make()
    sent(registration)
    registration.fail("no answer", 0, 1)
    registration.start(1)
    assert registration.wants_to_send


def test_a_success_forgets_the_failures() -> None:
    registration = make()
    sent(registration)
    registration.fail("no answer", 0, 1)
    registration.start(30)
    registration.receive(ok(registration.request(30)), 30, 1)
    registration.refresh(31)
    registration.request(31)
    registration.fail("no answer", 31, 1)
    assert registration.timer == pytest.approx(35)
    assert registration.is_bound(35)


@pytest.mark.parametrize("code", [401, 403, 500])
def test_a_refresh_that_fails_has_other_chances_before_the_binding_ends(code: int) -> None:
    registration = registered(granted=60)
    now, attempts = 51.0, 0
    registration.refresh(now)
    while now < 60:
        registration.receive(reply(registration.request(now), code), now, 1)
        attempts += 1
        assert registration.timer is not None
        now = registration.timer
        registration.handle_timer(now)
        if registration.timer is not None:
            now = registration.timer
            registration.handle_timer(now)
    assert 2 <= attempts <= 5


def test_a_refusal_long_before_the_end_is_still_followed_by_a_long_wait() -> None:
    registration = registered(granted=3600)
    registration.refresh(1)
    registration.receive(reply(registration.request(1), 401), 1, 1)
    assert registration.timer == pytest.approx(61)


@pytest.mark.parametrize("headers", [(("Contact", "<sip:x@192.0.2.3>;expires=60"),), (("Expires", "0"),)])
def test_a_2xx_without_our_binding_is_a_failure(headers: tuple[tuple[str, str], ...]) -> None:
    registration = make()
    registration.receive(reply(sent(registration), 200, *headers), 0, 1)
    assert registration.state is S.RETRYING
    assert "no binding" in registration.reason


def test_unregister() -> None:
    registration = registered()
    registration.stop(5)
    request = registration.request(5)
    assert (request.headers.get("Contact"), request.expires) == (f"<{CONTACT}>;expires=0", 0)
    registration.receive(reply(request, 200), 5, 1)
    assert (registration.state, registration.binding, registration.timer) == (S.IDLE, None, None)


def test_an_unbinding_that_fails_is_tried_until_the_binding_is_gone_by_itself() -> None:
    registration = registered(60)
    registration.stop(5)
    now = 5.0
    while registration.state is not S.IDLE:
        assert now < 70
        if registration.wants_to_send:
            registration.request(now)
            registration.fail("no answer", now, 1)
        now = registration.timer or now
        registration.handle_timer(now)
    assert registration.binding is None


def test_a_change_of_mind_while_a_register_is_on_its_way() -> None:
    registration = make()
    request = sent(registration)
    registration.stop(0)
    assert registration.state is S.STOPPING
    registration.receive(ok(request), 0, 1)
    leave = registration.request(0)
    assert leave.expires == 0
    registration.start(0)
    registration.receive(reply(leave, 200), 0, 1)
    assert registration.request(0).expires == 1800


def test_a_stop_before_an_answer_unbinds_even_without_one() -> None:
    registration = make()
    sent(registration)
    registration.stop(1)
    registration.fail("no answer", 32, 1)
    assert registration.request(32).expires == 0


def test_moving_drops_the_old_contact_until_it_is_accepted() -> None:
    registration = registered()
    registration.move("sip:434@192.0.2.2:5062", 5)
    for now in (5.0, 9.0):
        request = registration.request(now)
        assert [str(contact.uri) for contact in request.contacts] == ["sip:434@192.0.2.2:5062", CONTACT]
        registration.fail("no answer", now, 1) if now == 5 else None
        registration.handle_timer(now + 4)
    # What the PBX still lists of the old one is not taken for ours.
    registration.receive(
        reply(request, 200, ("Contact", f"<{CONTACT}>;expires=9, <sip:434@192.0.2.2:5062>;expires=60")), 9, 1
    )
    assert registration.binding is not None
    assert registration.binding.granted == 60
    registration.refresh(20)
    assert len(registration.request(20).contacts) == 1


def test_a_binding_from_before_a_restart_sends_nothing_until_its_refresh() -> None:
    registration = make(cseq=17)
    registration.resume(Binding(60, 100, 160), 120, 1)
    assert not registration.wants_to_send
    assert registration.timer == pytest.approx(151)
    registration.handle_timer(151)
    assert registration.request(151).cseq.number == 18


def test_service_route_is_kept() -> None:
    registration = make()
    request = sent(registration)
    registration.receive(reply(request, 200, ("Service-Route", "<sip:a;lr>, <sip:b;lr>"), ("Expires", "60")), 0, 1)
    assert registration.binding is not None
    assert registration.binding.service_routes == ("<sip:a;lr>", "<sip:b;lr>")


def test_an_answer_to_nothing_is_our_bug() -> None:
    registration = make()
    with pytest.raises(LocalProtocolError):
        registration.receive(Response(200), 0, 1)
    with pytest.raises(LocalProtocolError):
        registration.next_cseq(0)


def test_every_state_can_be_started_stopped_and_refreshed() -> None:
    for event in (RegistrationEvent.START, RegistrationEvent.STOP, RegistrationEvent.REFRESH):
        assert {state for state, known in TRANSITIONS if known is event} == set(S)


def test_whatever_is_on_its_way_can_be_answered_in_every_way() -> None:
    answers = {
        RegistrationEvent.ACCEPTED,
        RegistrationEvent.ADJUSTED,
        RegistrationEvent.FAILED,
        RegistrationEvent.REFUSED,
    }
    for state in IN_FLIGHT:
        assert answers <= {event for known, event in TRANSITIONS if known is state}


def test_a_timer_is_only_set_where_it_is_taken() -> None:
    arming = {Action.SEND, Action.SCHEDULE_REFRESH, Action.BACK_OFF, Action.BACK_OFF_SLOWLY}
    for state, actions in TRANSITIONS.values():
        if arming & set(actions):
            assert (state, RegistrationEvent.TIMER) in TRANSITIONS


ANSWERS = st.sampled_from(
    [("challenge", 0), ("none", 0), *((str(code), 0) for code in (302, 401, 403, 423, 500, 503))]
    + [("grant", seconds) for seconds in (0, 1, 2, 5, 60, 1800)]
)  # fmt: skip
COMMANDS = ["start", "start", "stop", "move", "wait", "die"]
STEPS = st.lists(
    st.tuples(st.sampled_from(COMMANDS), ANSWERS, st.floats(0, 1), st.floats(0, 30)),
    max_size=120,
)  # fmt: skip


def test_what_the_agent_before_sent_counts() -> None:
    before = (0.0, 1.0, 2.0, 3.0, 4.0)
    registration = make(before=before)
    registration.start(5)
    assert not registration.wants_to_send
    assert registration.timer is not None
    assert registration.timer >= LIMIT_PERIOD
    assert registration.sent_lately(5) == before
    assert registration.sent_lately(LIMIT_PERIOD + 2) == (3.0, 4.0)


@pytest.mark.parametrize(
    ("told", "counted"),
    [
        ((), (30, 30)),
        ((5.0, 25.0), (25, 30, 30)),
        ((26.0, 25.0, 35.0, 27.0), (25, 26, 27, 30, 30, 30)),
        ((25.0,) * 5, (25,) * 5 + (30,)),
        ((25.0,) * 7, (25,) * 7),
    ],
)
def test_what_an_agent_may_not_have_told_is_no_more_than_its_limit_allows(
    told: tuple[float, ...], counted: tuple[float, ...]
) -> None:
    assert with_untold(told, 30) == counted


@given(STEPS)
def test_never_more_than_six_in_twenty_seconds(
    steps: list[tuple[str, tuple[str, int], float, float]],
) -> None:
    registration = make()
    times: list[float] = []
    now = 0.0
    for command, said, jitter, pause in steps:
        if command == "start":
            registration.start(now)
        elif command == "stop":
            registration.stop(now)
        elif command == "move":
            registration.move(f"sip:434@192.0.2.1:{5060 + len(times) % 7}", now)
        elif command == "die":
            registration = make(before=with_untold(registration.sent_lately(now), now))
            registration.start(now)
        _exchange(registration, said, jitter, now, times)
        if registration.timer is not None and registration.timer <= now + pause:
            now = max(now, registration.timer)
        else:
            now += pause / 10
        registration.handle_timer(now)
    for first, last in zip(times, times[LIMIT:], strict=False):
        assert last - first >= LIMIT_PERIOD - 1e-6


def _exchange(registration: Registration, said: tuple[str, int], jitter: float, now: float, times: list[float]) -> None:
    """Send what is wanted, and let the PBX say the same to it up to three times."""
    for _ in range(3):
        if not registration.wants_to_send:
            return
        request = registration.request(now)
        times.append(now)
        if said[0] == "none":
            registration.fail("no answer", now, jitter)
            return
        while said[0] == "challenge":
            if registration.next_cseq(now) is None:
                registration.receive(reply(request, 401), now, jitter)
                return
            times.append(now)
        if said[0] == "grant":
            answer = reply(request, 200, ("Contact", f"<{registration.contact}>;expires={said[1]}"))
        else:
            answer = reply(request, int(said[0]), ("Contact", "<sip:x.example.com>"), ("Min-Expires", "3600"))
        registration.receive(answer, now, jitter)


@given(st.integers(10, 7200), st.floats(60, 7200), st.lists(st.floats(0, 1), min_size=20, max_size=20))
def test_a_binding_never_lapses_while_the_pbx_answers(granted: int, interval: float, jitters: list[float]) -> None:
    registration = make(RegistrationSettings(interval=interval))
    registration.start(0)
    now = 0.0
    for jitter in jitters:
        registration.receive(ok(registration.request(now), granted), now, jitter)
        assert registration.timer is not None
        assert registration.timer - now <= interval + 1e-6
        now = registration.timer
        assert registration.is_bound(now + 0.5)
        registration.handle_timer(now)
        assert registration.wants_to_send


@given(STEPS)
def test_whatever_happened_it_can_be_stopped_and_leaves_no_timer(
    steps: list[tuple[str, tuple[str, int], float, float]],
) -> None:
    registration, now, times = make(), 0.0, list[float]()
    for command, said, jitter, pause in steps:
        if command in {"start", "die"}:
            registration.start(now)
        elif command == "stop":
            registration.stop(now)
        elif command == "move":
            registration.move(f"sip:434@192.0.2.1:{5060 + len(times) % 7}", now)
        _exchange(registration, said, jitter, now, times)
        now += pause
        registration.handle_timer(now)
    registration.stop(now)
    # The limit may hold back the unbinding, and one that waits for its answer has to get it.
    for _ in range(20):
        _exchange(registration, ("grant", 60), 0.5, now, times)
        if registration.timer is None:
            break
        now = max(now, registration.timer)
        registration.handle_timer(now)
    assert registration.state is S.IDLE
    assert registration.timer is None
    assert not registration.is_bound(now)
