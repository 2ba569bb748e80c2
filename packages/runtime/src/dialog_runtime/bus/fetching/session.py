"""What one broker and we agree on about fetching (KIP-227); no I/O.

Theory of operation. The first request of a session names every partition with its offset, and the broker gives the
session an id. From then on a request names only what has changed: an offset that moved, a partition that came or one to
forget; and the response names only partitions that have records or errors. Each request carries an epoch, one higher
than the last. A broker that does not know the session (it was restarted, or has more of them than it keeps), or is at
another epoch, says so: then, and whenever a request got no answer, the session starts anew. A broker with no room for a
session answers with id 0, and the next request is a first one again.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka import TopicPartition

from dialog_runtime.bus.fetching.wire import FetchRequest, FetchResponse

_NO_SESSION = 0
_FIRST_EPOCH = 0
_LAST_EPOCH = 2**31 - 1


class FetchSession:
    """One broker's session; requests go one at a time, each answered or :meth:`lost` before the next."""

    def __init__(self) -> None:
        self._id = _NO_SESSION
        self._epoch = _FIRST_EPOCH
        self._known: dict[TopicPartition, int] = {}
        """What the broker has in the session, with the offsets it was told."""

    def request(self, wanted: Mapping[TopicPartition, int], wait_ms: int) -> FetchRequest:
        """Return the next request, for these partitions from these offsets on."""
        known = self._known
        changed = {partition: offset for partition, offset in wanted.items() if known.get(partition) != offset}
        forgotten = known.keys() - wanted.keys()
        for partition in forgotten:
            del known[partition]
        known.update(changed)
        return FetchRequest((self._id, self._epoch), changed, forgotten, wait_ms)

    def answered(self, response: FetchResponse) -> bool:
        """Take the response to the last request; false where the session has to start anew."""
        if response.error or response.session_id == _NO_SESSION:
            self.lost()
            return not response.error
        self._id = response.session_id
        self._epoch = self._epoch + 1 if self._epoch < _LAST_EPOCH else _FIRST_EPOCH + 1
        return True

    def lost(self) -> None:
        """Start anew: nobody knows what became of the last request."""
        self._id, self._epoch = _NO_SESSION, _FIRST_EPOCH
        self._known.clear()
