"""Addresses that ICE offers."""

from __future__ import annotations

from dialog_bridge.adapters.media.hosts import REFRESH_SECONDS, HostAddresses


def test_looked_up_now_and_then() -> None:
    answers = iter([["192.0.2.1"], ["192.0.2.2"]])
    hosts = HostAddresses(lambda: next(answers), loopback=False)
    assert hosts.at(100.0) == ["192.0.2.1"]
    assert hosts.at(100.0 + REFRESH_SECONDS / 2) == ["192.0.2.1"]
    assert hosts.at(100.0 + REFRESH_SECONDS) == ["192.0.2.2"]


def test_loopback_where_it_is_wanted() -> None:
    assert HostAddresses(lambda: ["192.0.2.1"], loopback=True).at(0.0) == ["192.0.2.1", "127.0.0.1"]
    assert HostAddresses(list, loopback=False).at(0.0) == []
