"""Where packets for the SIP side go, as packets and descriptions come."""

from __future__ import annotations

from dialog_bridge.adapters.media.latch import Latch

DESCRIBED, OTHER, BEHIND_NAT, STRANGER = (("192.0.2.1", port) for port in (4000, 4002, 5000, 6666))


def described() -> Latch:
    latch = Latch()
    latch.describe(DESCRIBED)
    return latch


def test_sends_where_the_description_says() -> None:
    latch = Latch()
    assert latch.target is None
    latch.describe(DESCRIBED)
    assert latch.target == DESCRIBED


def test_locks_on_to_the_first_source() -> None:
    latch = described()
    assert latch.accepts(BEHIND_NAT)
    assert latch.target == BEHIND_NAT
    assert not latch.accepts(STRANGER)
    assert latch.target == BEHIND_NAT


def test_the_described_address_locks_out_everybody() -> None:
    latch = described()
    assert latch.accepts(DESCRIBED)
    assert not latch.accepts(STRANGER)


def test_the_described_address_takes_the_lock_back() -> None:
    latch = described()
    assert latch.accepts(STRANGER)
    assert latch.accepts(DESCRIBED)
    assert latch.target == DESCRIBED
    assert not latch.accepts(STRANGER)


def test_the_same_description_again_keeps_what_was_learnt() -> None:
    latch = described()
    latch.accepts(BEHIND_NAT)
    latch.describe(DESCRIBED)
    assert latch.target == BEHIND_NAT


def test_a_new_description_starts_anew_and_the_left_address_is_not_learnt() -> None:
    latch = described()
    latch.accepts(DESCRIBED)
    latch.describe(OTHER)
    assert latch.target == OTHER
    assert not latch.accepts(DESCRIBED)
    assert latch.accepts(BEHIND_NAT)
    assert latch.target == BEHIND_NAT
