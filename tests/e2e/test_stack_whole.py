"""The whole system comes up together, and what is killed comes back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from dialog_sandbox.stack.service import http_status

if TYPE_CHECKING:
    from dialog_sandbox.stack import Stack

pytestmark = [pytest.mark.needs("kafka", "postgres"), pytest.mark.asyncio(loop_scope="session")]


async def test_every_part_runs(stack: Stack) -> None:
    assert set(stack.pids()) == {
        "kafka", "postgres", "pbx", "provisioner-1", "registrar-1", "registrar-2", "bridge-1", "bridge-2", "console-1",
    }  # fmt: skip
    assert stack.page is not None
    assert await http_status(stack.page) == 200


async def test_a_killed_registrar_comes_back(stack: Stack) -> None:
    before = stack.restarts()["registrar-1"]
    stack.kill("registrar-1")
    async with asyncio.timeout(30):
        while stack.restarts()["registrar-1"] == before or "registrar-1" not in stack.pids():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
