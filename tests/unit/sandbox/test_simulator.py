"""The simulated PBX: what it answers, what it counts, what it does wrong when told to."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from dialog_sandbox.errors import SandboxError
from dialog_sandbox.simulator import Challenge, Faults, Simulator
from dialog_sandbox.simulator.counts import Rate
from dialog_sandbox.simulator.registrar import Registrar
from dialog_sip import Request, Response, parse_message
from dialog_sip.digest import DigestClient
from dialog_sip.registration.request import build_register
from dialog_sip.registration.settings import Account
from pydantic import SecretStr

SOURCE = ("127.0.0.1", 5099)
PASSWORD = "open sesame"


class Phone:
    """One user of the PBX under test."""

    def __init__(self, registrar: Registrar, user: str = "alice") -> None:
        self.registrar = registrar
        self.user = user
        self.cseq = 0
        self.digest = DigestClient(user)

    def request(self, expires: int = 60) -> Request:
        self.cseq += 1
        contact = f"sip:{self.user}@127.0.0.1:5099"
        account = Account(f"sip:{self.user}@pbx", "sip:pbx")
        request = build_register(
            account, target="sip:pbx", call_id=f"c-{self.user}", cseq=self.cseq, contact=contact, expires=expires
        ).request()
        request.headers.prepend("Via", f"SIP/2.0/UDP 127.0.0.1:5099;branch=z9hG4bK{self.cseq};rport")
        return request

    def send(self, request: Request, now: float) -> Response | None:
        answer = self.registrar.receive(request.encode(), SOURCE, now)
        if answer is None:
            return None
        response = parse_message(answer)
        assert isinstance(response, Response)
        return response

    def register(self, now: float, expires: int = 60) -> int | None:
        """REGISTER with what is known, answer at most one challenge; returns the last code."""
        request = self.request(expires)
        self.digest.authorize(request, PASSWORD)
        response = self.send(request, now)
        if response is not None and response.code == 401:
            self.digest.learn(response)
            request = self.request(expires)
            self.digest.authorize(request, PASSWORD)
            response = self.send(request, now)
        return None if response is None else response.code


@pytest.fixture
def registrar() -> Registrar:
    return Registrar(PASSWORD.encode(), expires=60, seed=1)


@pytest.fixture
def phone(registrar: Registrar) -> Phone:
    return Phone(registrar)


def test_challenges_once_then_takes_refreshes_with_the_same_nonce(registrar: Registrar, phone: Phone) -> None:
    assert [phone.register(0), phone.register(40), phone.register(80)] == [200, 200, 200]
    counts = registrar.counts
    assert (counts.registers, counts.challenges, counts.registrations, counts.refreshes) == (4, 1, 1, 2)
    assert (counts.lapses.count, counts.early, counts.cseq_back) == (0, 0, 0)


def test_counts_what_lapses_and_how_late(registrar: Registrar, phone: Phone) -> None:
    phone.register(0)
    assert (registrar.bound(59), registrar.overdue(59)) == (1, 0)
    assert (registrar.bound(61), registrar.overdue(61)) == (0, 1)
    phone.register(63)
    assert registrar.counts.lapses.count == 1
    assert registrar.counts.lapses.longest == pytest.approx(3)


def test_tells_each_lapse_and_those_that_nobody_came_for(registrar: Registrar, phone: Phone) -> None:
    other = Phone(registrar, "bob")
    phone.register(0.0, expires=60)
    other.register(10.0, expires=60)
    phone.register(63.0, expires=60)
    told = [("alice", 60.0, 3.0, 60), ("bob", 70.0, 5.0, 60)]
    assert registrar.lapses(75.0) == told
    registrar.forget(75.0)
    assert registrar.lapses(200.0) == told


def test_a_refresh_of_what_is_still_good_for_long_is_early(registrar: Registrar, phone: Phone) -> None:
    phone.register(0)
    phone.register(5)
    assert registrar.counts.early == 1


def test_a_retransmission_is_answered_again_and_not_counted(registrar: Registrar, phone: Phone) -> None:
    request = phone.request()
    first, again = phone.send(request, 0), phone.send(request, 0.5)
    assert first == again
    assert (registrar.counts.registers, registrar.counts.duplicates) == (1, 1)


def test_unregisters(registrar: Registrar, phone: Phone) -> None:
    phone.register(0)
    assert phone.register(1, expires=0) == 200
    assert (registrar.bound(2), registrar.counts.unregistrations) == (0, 1)


def test_a_wrong_password_is_challenged_again(registrar: Registrar, phone: Phone) -> None:
    phone.digest.learn(_some(phone.send(phone.request(), 0)))
    request = phone.request()
    phone.digest.authorize(request, "wrong")
    assert _some(phone.send(request, 0)).code == 401
    assert registrar.counts.wrong_credentials == 1


def test_a_cseq_that_goes_back_is_counted(registrar: Registrar, phone: Phone) -> None:
    phone.register(0)
    phone.cseq = 0
    phone.register(1)
    assert registrar.counts.cseq_back > 0


def test_away_answers_nothing(registrar: Registrar, phone: Phone) -> None:
    registrar.faults = Faults(away=True)
    assert phone.register(0) is None
    assert registrar.counts.registers == 0


def test_loses_the_part_it_is_told_to(registrar: Registrar) -> None:
    registrar.faults = Faults(loss=0.5, challenge=Challenge.NONE)
    answers = [Phone(registrar, f"u{number}").register(0) for number in range(400)]
    assert 60 < sum(answer is not None for answer in answers) < 140


@pytest.mark.parametrize(
    ("faults", "code", "header"),
    [
        (Faults(code=503, retry_after=7), 503, ("Retry-After", "7")),
        (Faults(code=403), 403, None),
        (Faults(min_expires=10**9), 423, ("Min-Expires", "1000000000")),
    ],
)
def test_answers_as_it_is_told(
    registrar: Registrar, phone: Phone, faults: Faults, code: int, header: tuple[str, str] | None
) -> None:
    registrar.faults = faults.model_copy(update={"challenge": Challenge.NONE})
    response = _some(phone.send(phone.request(), 0))
    assert response.code == code
    if header is not None:
        assert response.headers.get(header[0]) == header[1]


@pytest.mark.parametrize("grant", [0, 2])
def test_grants_what_it_is_told(registrar: Registrar, phone: Phone, grant: int) -> None:
    registrar.faults = Faults(grant=grant, challenge=Challenge.NONE)
    response = _some(phone.send(phone.request(), 0))
    assert response.contacts[0].expires == grant


def test_a_nonce_of_one_use_is_asked_for_again(registrar: Registrar, phone: Phone) -> None:
    registrar.faults = Faults(challenge=Challenge.ONE_USE)
    assert [phone.register(0), phone.register(40)] == [200, 200]
    assert registrar.counts.challenges == 2


@pytest.mark.parametrize(("challenge", "stale"), [(Challenge.ENDLESS, True), (Challenge.REFUSE, False)])
def test_never_content_with_credentials(registrar: Registrar, phone: Phone, challenge: Challenge, stale: bool) -> None:
    registrar.faults = Faults(challenge=challenge)
    phone.register(0)
    response = _some(phone.send(phone.request(), 1))
    assert ("stale=true" in (response.headers.get("WWW-Authenticate") or "")) is stale


def test_counts_the_most_of_one_user_in_twenty_seconds(registrar: Registrar, phone: Phone) -> None:
    for now in (0, 5, 10, 30, 31):
        phone.register(now)
    assert registrar.counts.most_in_20_s == 4


def test_peaks_are_those_of_the_busiest_tenth_and_second() -> None:
    rate = Rate()
    for now in (0.0, 0.01, 0.02, 0.5, 0.95, 1.05, 3.0):
        rate.note(now)
    assert (rate.peak_100ms, rate.peak_1s) == (3, 5)


async def test_the_process_serves_udp_and_tcp_and_is_switched(tmp_path: Path) -> None:
    async with Simulator(SecretStr(PASSWORD), tmp_path, expires=60) as pbx:
        phone = Phone(Registrar(b""))
        data = phone.request().encode()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(5)
            udp.sendto(data, ("127.0.0.1", pbx.port))
            assert udp.recv(4096).startswith(b"SIP/2.0 401")
        await pbx.set(Faults(code=403))
        with socket.create_connection(("127.0.0.1", pbx.port), 5) as tcp:
            tcp.sendall(phone.request().encode() + b"\r\n\r\n")
            assert tcp.recv(4096).startswith(b"SIP/2.0 403")
        state = await pbx.state()
        assert (state.counts["registers"], state.counts["challenges"], state.counts["refused"]) == (2, 1, 1)
        assert 0 <= state.load["cpu_share"] < 1
        assert state.lapses == 0
        assert list(await pbx.users()) == ["alice"]
        with pytest.raises(SandboxError, match="loss"):
            await pbx.set(Faults.model_construct(_fields_set={"loss"}, loss=7))


def _some(response: Response | None) -> Response:
    assert response is not None
    return response
