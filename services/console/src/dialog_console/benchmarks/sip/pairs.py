"""The REGISTER pair of :mod:`~dialog_console.benchmarks.sip.transactions` with the libraries that have transactions.

Of those only aiosipua's can be had without sockets and a loop: those of sippy, asyncsip and PySIPio send by themselves.
Each user has a transaction layer of its own, for aiosipua's looks at all that it has whenever one begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, SupportsBytes

from dialog_console.benchmarks.sip.readers import OURS
from dialog_console.benchmarks.sip.transactions import PAIRS, PASSWORD, ROUNDS, answer, core_microseconds

PAIR = "REGISTER pair"
"""Name of the rate: registrations a CPU second."""

Microseconds = Callable[[], float]


class _Wire:
    """What a registration of aiosipua wants of its user agent: transactions, an address, and where to send."""

    def __init__(self, transactions: object) -> None:
        self.transactions = transactions
        self.transport = self
        self.sent = b""
        self._registrations: dict[str, object] = {}

    def _local_addr(self) -> tuple[str, int]:
        return "192.0.2.1", 5060

    def send(self, message: SupportsBytes, _address: object) -> None:
        """Write the message, as its transport does."""
        self.sent = bytes(message)


def _aiosipua() -> float:
    registration: Any = import_module("aiosipua.registration")
    layer: Any = import_module("aiosipua.transaction").TransactionLayer
    auth: Any = import_module("aiosipua.auth").SipDigestAuth
    # Ours has no timer of the refresh in this measure either; theirs are two tasks.
    kind: Any = type("Quiet", (registration.Registration,), {"_schedule": lambda _self, _granted: None})

    def user(serial: int) -> object:
        return kind(
            _Wire(layer()), f"sip:{serial}@pbx.example.com", ("192.0.2.2", 5060), auth=auth(str(serial), PASSWORD)
        )

    best = min(_round([user(serial) for serial in range(PAIRS)]) for _ in range(ROUNDS))
    return best / PAIRS * 1e6


def _round(users: Sequence[Any]) -> float:
    parse: Any = import_module("aiosipua.message").SipMessage.parse
    clock = time.process_time
    began = clock()
    for user in users:
        user.register()
    spent = clock() - began
    for code in (401, 200):
        answers = [answer(user.uac.sent, code) for user in users]
        began = clock()
        for user, data in zip(users, answers, strict=True):
            user._handle_response(parse(data))  # noqa: SLF001 - what its user agent calls
        spent += clock() - began
    if any(user.state.name != "REGISTERED" for user in users):
        raise RuntimeError("somebody is not registered")
    return spent


MICROSECONDS: dict[str, Microseconds] = {OURS: core_microseconds, "aiosipua": _aiosipua}
"""Name on PyPI -> the microseconds of core of one registration with it."""
