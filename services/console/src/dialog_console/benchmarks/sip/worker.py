"""One library in a process of its own: ``python -m dialog_console.benchmarks.sip.worker NAME`` prints its rates.

The output is one JSON object, ``{"INVITE raw": messages a CPU second, ...}``; what the library cannot read is null.
"""

from __future__ import annotations

import gc
import io
import json
import logging
import sys
import time
from contextlib import redirect_stdout

from dialog_console.benchmarks.sip.messages import Kind, messages
from dialog_console.benchmarks.sip.pairs import MICROSECONDS, PAIR
from dialog_console.benchmarks.sip.readers import READERS, Read

SECONDS = 0.8
"""CPU seconds spent on each rate, at least two passes over all messages."""
SLICE = 500
"""Messages between two looks at the clock: short, so that one undisturbed slice is found on a busy machine."""


def rate(read: Read, batch: list[bytes]) -> float | None:
    """Return the messages a CPU second of the best slice, after all were read once to warm up."""
    try:
        for data in batch:
            read(data)
    except Exception as error:  # noqa: BLE001 - whatever a foreign parser raises, it cannot read this
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return None
    best, began = float("inf"), time.process_time()
    while time.process_time() - began < SECONDS:
        for first in range(0, len(batch), SLICE):
            part = batch[first : first + SLICE]
            before = time.process_time()
            for data in part:
                read(data)
            best = min(best, time.process_time() - before)
    return SLICE / best


def measure(name: str) -> dict[str, float | None]:
    """Return all rates of one library. Raises :class:`ImportError` where it is not there."""
    reader = READERS[name]()
    rates: dict[str, float | None] = {}
    for kind in Kind:
        batch = messages(kind)
        gc.collect()
        gc.freeze()
        rates[f"{kind} raw"] = rate(reader.raw, batch)
        rates[f"{kind} all headers"] = rate(reader.every, batch)
    if name in MICROSECONDS:
        rates[PAIR] = 1e6 / MICROSECONDS[name]()
    return rates


def main() -> None:
    """Measure the library that is named on the command line."""
    logging.disable(logging.CRITICAL)
    with redirect_stdout(io.StringIO()):
        rates = measure(sys.argv[1])
    sys.stdout.write(json.dumps(rates) + "\n")


if __name__ == "__main__":
    main()
