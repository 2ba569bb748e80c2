"""RTP ports: pairs of a range, in turn."""

from __future__ import annotations

import contextlib
import socket

import pytest
from dialog_bridge.adapters.media.sockets import PortPool, PortsExhaustedError
from fixtures.media import free_port_range


def bound(pool: PortPool, stack: contextlib.ExitStack) -> int:
    port, rtp, rtcp = pool.bind("127.0.0.1")
    stack.enter_context(rtp)
    stack.enter_context(rtcp)
    assert (rtp.getsockname()[1], rtcp.getsockname()[1]) == (port, port + 1)
    assert not rtp.getblocking()
    return port


def test_pairs_of_an_odd_range() -> None:
    lowest, _ = free_port_range(3)
    with contextlib.ExitStack() as stack:
        pool = PortPool(lowest + 1, lowest + 6)
        assert [bound(pool, stack), bound(pool, stack)] == [lowest + 2, lowest + 4]
        with pytest.raises(PortsExhaustedError):
            pool.bind("127.0.0.1")


def test_ports_that_others_have_are_passed_over() -> None:
    lowest, _ = free_port_range(3)
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        other.bind(("127.0.0.1", lowest + 1))
        assert bound(PortPool(lowest, lowest + 4), stack) == lowest + 2


def test_ports_are_used_in_turn() -> None:
    lowest, _ = free_port_range(3)
    pool = PortPool(lowest, lowest + 6)
    with contextlib.ExitStack() as stack:
        first = bound(pool, stack)
    pool.free(first)
    with contextlib.ExitStack() as stack:
        assert [bound(pool, stack) for _ in range(3)] == [first + 2, first + 4, first]


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(OSError, match="assign"):
        PortPool(*free_port_range(2)).bind("192.0.2.254")
