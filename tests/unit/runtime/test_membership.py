"""How members of a group deal out its partitions."""

from __future__ import annotations

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import UnknownTopicOrPartitionError
from aiokafka.protocol.metadata import MetadataResponse_v1
from dialog_runtime.bus.membership import Assignor


def cluster(*topics: str) -> ClusterMetadata:
    known = ClusterMetadata()
    partitions = [(0, number, 1, [1], [1]) for number in range(6)]
    brokers = [(1, "localhost", 9092, None)]
    known.update_metadata(MetadataResponse_v1(brokers, 1, [(0, topic, False, partitions) for topic in topics]))
    return known


MEMBERS = {name: Assignor.metadata({"users", "calls"}) for name in ("a", "b")}


def test_everything_is_dealt_out_in_equal_parts() -> None:
    dealt = Assignor.assign(cluster("users", "calls"), MEMBERS)
    shares = [[(topic, number) for topic, numbers in dealt[name].assignment for number in numbers] for name in MEMBERS]
    assert [len(share) for share in shares] == [6, 6]
    assert set(shares[0]) | set(shares[1]) == {(topic, number) for topic in ("users", "calls") for number in range(6)}


def test_nothing_is_dealt_out_while_a_topic_is_unknown() -> None:
    with pytest.raises(UnknownTopicOrPartitionError, match="calls"):
        Assignor.assign(cluster("users"), MEMBERS)
