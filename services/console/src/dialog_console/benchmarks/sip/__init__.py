"""``bench sip``: messages and transactions of ``dialog_sip`` a CPU second, beside the SIP libraries on PyPI.

Each library reads the same messages (:mod:`~dialog_console.benchmarks.sip.messages`) in a process of its own, one after
another, in as many rounds as there are; the best slice of all rounds counts, for what else the machine does can only
make it slower. A library takes part in the rows of which it can do something: one that has no value for Via, CSeq and
addresses, but text, is in the rows *raw* alone. Options: ``--no-peers``, ``--rounds N``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dialog_sandbox.errors import SandboxError

from dialog_console.benchmarks.row import Aim, Row, number
from dialog_console.benchmarks.sip import peers, transactions
from dialog_console.benchmarks.sip.messages import Kind
from dialog_console.benchmarks.sip.pairs import PAIR
from dialog_console.benchmarks.sip.readers import LESS, OURS

DEADLINE = 120.0
"""Seconds for one library in one round."""
AIMS = {f"{Kind.INVITE} all headers": 40_000.0}
"""Messages a CPU second, whatever others reach."""
CORE_MICROSECONDS = 40.0
TEXT_ONLY = frozenset({"simple-sip-client", "PySIPio"})
"""Libraries that keep some of Via, CSeq and addresses as text."""

Rates = dict[str, float]


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured."""

    peers: bool = True
    rounds: int = 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # it never returns there either
        """Say what is wrong as every command does."""
        raise SandboxError(f"bench sip: {message}")


def parse(arguments: Sequence[str]) -> Options:
    """Read the options. Raises :class:`SandboxError`."""
    parser = _Parser(prog="dialog-sip bench sip", add_help=False)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args(list(arguments))
    return Options(not given.no_peers, max(1, given.rounds))


async def run(options: Options) -> list[Row]:
    """Measure all of it; a library that is left out has a row that says why."""
    found, absent = await asyncio.to_thread(peers.prepare) if options.peers else ({}, {})
    rates: dict[str, Rates] = {}
    for _ in range(options.rounds):
        for name, folder in [(OURS, None), *found.items()]:
            measured, fault = await _measure(name, folder)
            if fault:
                absent.setdefault(name, fault)
            best = rates.setdefault(name, {})
            for row, value in measured.items():
                best[row] = max(best.get(row, 0.0), value)
    left_out = [Row(name, math.nan, "", peers=fault) for name, fault in absent.items()]
    return [*message_rows(rates), *transaction_rows(rates, transactions.idle_bytes()), *left_out]


async def _measure(name: str, folder: Path | None) -> tuple[Rates, str]:
    """Return the rates of one library, and what went wrong. What it writes, such as logs, stays beside it."""
    environment = dict(os.environ)
    if folder is not None:
        environment["PYTHONPATH"] = str(folder)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"{__name__}.worker", name,
        cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(DEADLINE):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return {}, "left out, it took too long"
    said = (errors.decode(errors="replace").strip().splitlines() or [""])[-1]
    if process.returncode != 0:
        return {}, f"left out, {said}"
    rates = {row: value for row, value in json.loads(output).items() if value is not None}
    return rates, f"in part, {said}" if len(rates.keys() - {PAIR}) < 2 * len(Kind) else ""


def message_rows(rates: Mapping[str, Rates]) -> list[Row]:
    """Return a row for each kind and way of reading; the aim is to be ahead of every other."""
    rows = []
    for kind in Kind:
        for how in ("raw", "all headers"):
            name = f"{kind} {how}"
            ours = rates.get(OURS, {}).get(name, math.nan)
            others = {
                peer: of_peer[name]
                for peer, of_peer in rates.items()
                if peer != OURS and name in of_peer and not (how == "all headers" and peer in TEXT_ONLY)
            }
            bound = max([AIMS.get(name, 0.0), *others.values()])
            said = ", ".join(_said(peer, rate, how) for peer, rate in _ranked(others))
            rows.append(Row(name, ours, "1/CPU s", Aim(bound, at_most=False) if bound else None, said))
    return rows


def _ranked(rates: Rates) -> list[tuple[str, float]]:
    return sorted(rates.items(), key=lambda item: -item[1])


def _said(peer: str, rate: float, how: str) -> str:
    less = f" ({LESS[peer]})" if how != "raw" and peer in LESS else ""
    return f"{peer} {number(rate)}{less}"


def transaction_rows(rates: Mapping[str, Rates], idle: float) -> list[Row]:
    """Return the rows of a client's transactions; ``idle`` is the bytes of one that waits."""
    pairs = {name: of_library[PAIR] for name, of_library in rates.items() if PAIR in of_library}
    ours = pairs.pop(OURS, math.nan)
    micro = ", ".join(f"{peer} {number(1e6 / rate)}" for peer, rate in _ranked(pairs))
    many = ", ".join(f"{peer} {number(2 * rate)}" for peer, rate in _ranked(pairs))
    best = max(pairs.values(), default=0.0)
    return [
        Row("REGISTER 401, digest, 200, client", 1e6 / ours, "µs of core", Aim(CORE_MICROSECONDS), micro),
        Row("client transactions", 2 * ours, "1/CPU s", Aim(2 * best, at_most=False) if pairs else None, many),
        Row("idle transaction", idle, "bytes", Aim(2000)),
    ]
