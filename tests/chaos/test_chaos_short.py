"""A short run of chaos on the real parts: what the long one does, in little."""

from __future__ import annotations

import sys

import pytest
from dialog_console.chaos.run import run
from dialog_console.chaos.size import Size

pytestmark = pytest.mark.needs("kafka", "postgres", "kamailio")

SEED = 20261
FAULTS = 10
SECONDS = 30.0
MAPPINGS = 200


async def test_everything_holds_after_ten_faults() -> None:
    print(f"seed {SEED}")
    report = await run(Size(SEED, FAULTS, MAPPINGS, SECONDS), lambda line: print(line, file=sys.stderr))
    assert {verdict.name: verdict.problems for verdict in report.verdicts if not verdict.ok} == {}
