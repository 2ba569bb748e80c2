"""Whether a REGISTER may be sent for a partition right now.

========================================  ===========================================================================
the partition is                          then
========================================  ===========================================================================
ours, as Kafka confirms                   yes
in doubt: a rebalance, or we were asleep  no: it is decided in a moment
in doubt, and Kafka is away               yes, after :data:`DOUBT_FOR` seconds: nobody can decide it, and bindings
                                          must not lapse for that (``docs/decisions/060-registering-without-kafka.md``)
========================================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Callable

DOUBT_FOR = 3.0
"""Seconds in doubt after which an outage of Kafka is taken for one."""


class Leases:
    """``confirmed`` tells whether a partition is ours as Kafka says, ``kafka_away`` whether it says nothing at all."""

    def __init__(
        self, confirmed: Callable[[int], bool], kafka_away: Callable[[], bool], now: Callable[[], float]
    ) -> None:
        self._confirmed = confirmed
        self._kafka_away = kafka_away
        self._now = now
        self._doubted: dict[int, float] = {}

    def doubt(self, partition: int) -> None:
        """Note that a partition may be somebody else's by now."""
        self._doubted.setdefault(partition, self._now())

    def confirm(self, partition: int) -> None:
        """Note that it is ours, or that it is not and nothing is asked about it any more."""
        self._doubted.pop(partition, None)

    def may_send(self, partition: int) -> bool:
        """Look it up in the table above."""
        if self._confirmed(partition):
            return True
        since = self._doubted.get(partition)
        return since is not None and self._now() - since >= DOUBT_FOR and self._kafka_away()
