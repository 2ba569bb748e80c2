"""The watch of the table on a real PostgreSQL and a real Kafka."""

from __future__ import annotations

from typing import Any

import pytest
from dialog_schemas.mappings import MappingRejected

pytestmark = pytest.mark.needs("kafka", "postgres")

AOR = "434@pbx.example.com"


async def test_an_administrators_edits_are_on_the_topic_within_a_second(provisioning: Any) -> None:
    async with provisioning.listening() as topic, provisioning.provisioner_running() as running:
        await topic.until(lambda _: running.status.leads)
        await provisioning.insert("434", peer_id=434)
        assert await topic.until(lambda last: AOR in last) < 1
        first = topic.usable(AOR)
        assert (first.sip_port, first.transport, first.peer_id, first.registers) == (5060, "udp", 434, True)

        await provisioning.db.execute("UPDATE sip_user_mappings SET sip_password = 'other'")
        assert await topic.until(lambda last: last[AOR].revision != first.revision) < 1
        await provisioning.db.execute("UPDATE sip_user_mappings SET sip_port = 0")
        assert await topic.until(lambda last: isinstance(last[AOR], MappingRejected)) < 1
        await provisioning.db.execute("DELETE FROM sip_user_mappings")
        assert await topic.until(lambda last: last[AOR] is None) < 1
