"""STUN as far as SIP flows need it, and anything at all for it."""

import pytest
from dialog_sip.stun import Binding, binding_answer, binding_request, is_stun, read_binding
from hypothesis import given
from hypothesis import strategies as st

TRANSACTION = bytes(range(12))


def test_a_request() -> None:
    data = binding_request(TRANSACTION)
    assert data == b"\x00\x01\x00\x00\x21\x12\xa4\x42" + TRANSACTION
    assert read_binding(data) == Binding(TRANSACTION, is_request=True)


@pytest.mark.parametrize("source", [("192.0.2.1", 32853), ("2001:db8:1234:5678:11:2233:4455:6677", 5060)])
def test_an_answer_says_where_the_request_came_from(source: tuple[str, int]) -> None:
    assert read_binding(binding_answer(TRANSACTION, source)) == Binding(TRANSACTION, is_request=False, mapped=source)


def test_an_address_is_hidden_from_those_who_rewrite_addresses() -> None:
    data = binding_answer(TRANSACTION, ("192.0.2.1", 32853))
    # RFC 5769 section 2.2 masks the same address like this.
    assert data[20:] == b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43"


def test_attributes_before_the_address_are_skipped_with_their_padding() -> None:
    plain = binding_answer(TRANSACTION, ("192.0.2.1", 5060))
    software = b"\x80\x22\x00\x05siege\x00\x00\x00"
    data = plain[:2] + (len(software) + 12).to_bytes(2) + plain[4:20] + software + plain[20:]
    assert read_binding(data) == read_binding(plain)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"OPTIONS sip:h SIP/2.0\r\n\r\n",
        binding_request(TRANSACTION)[:-1],
        binding_request(TRANSACTION) + b"\0",
        b"\x01\x11" + binding_request(TRANSACTION)[2:],
        binding_request(TRANSACTION).replace(b"\x21\x12", b"\x21\x13"),
    ],
)
def test_what_is_none(data: bytes) -> None:
    assert read_binding(data) is None


@given(st.binary(max_size=64))
def test_anything_is_read_or_is_none(tail: bytes) -> None:
    data = b"\x01\x01" + len(tail).to_bytes(2) + b"\x21\x12\xa4\x42" + TRANSACTION + tail
    assert is_stun(data)
    found = read_binding(data)
    assert found is not None
    assert found.transaction == TRANSACTION
