"""Fuzz for long: ``python tests/fuzz/campaign.py [TARGET...] --seconds 600``.

Without atheris inputs come from ``mutations``; with it and ``--engine atheris`` from the coverage that it measures.
Prints what was tried and the slowest input; a failure is kept in the folder that ``--findings`` names.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.mutations import CORPUS, MAX_INPUT, Mutations, corpus

WORST: float = 0.010
"""Seconds of CPU that no input may take more than."""


@dataclass
class Tally:
    """What a run came to."""

    inputs: int = 0
    worst: float = 0.0
    slowest: bytes = b""

    def note(self, data: bytes, seconds: float) -> None:
        """Count an input."""
        self.inputs += 1
        if seconds > self.worst:
            self.worst, self.slowest = seconds, data


def timed(run: object, data: bytes, repeats: int = 7) -> float:
    """Return the seconds of CPU for one input; one that seems slow is tried again, for caches and interrupts count."""
    best = float("inf")
    for _ in range(repeats):
        started = time.thread_time()
        run(data)  # type: ignore[operator]
        best = min(best, time.thread_time() - started)
        if best < WORST * 0.7:
            break
    return best


def campaign(target: str, seconds: float, seed: int) -> Tally:
    """Fuzz a target for so long. What it raises comes out, with the input as its note."""
    from fuzz.targets import READS, TARGETS

    run, tally, kept = TARGETS[target], Tally(), corpus(target)
    source = Mutations(kept, seed)
    until = time.monotonic() + seconds
    waiting = list(kept)
    while waiting or time.monotonic() < until:
        data = waiting.pop() if waiting else source.next()
        try:
            took = timed(run, data) / READS.get(target, 1)
        except Exception as error:
            error.add_note(f"target {target}, seed {seed}, input {data[:2000]!r}")
            raise
        tally.note(data, took)
        source.note(data, took)
    return tally


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", default=sorted(file.name for file in CORPUS.iterdir()))
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument("--engine", choices=("mutations", "atheris"), default="mutations")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    args = parser.parse_args()
    print(f"seed {args.seed}")
    for target in args.targets:
        if args.engine == "atheris":
            with_coverage(target, args.seconds, args.seed, args.findings)
            return
        tally = campaign(target, args.seconds, args.seed)
        print(f"{target}: {tally.inputs:,} inputs, worst {tally.worst * 1000:.2f} ms", flush=True)
        if tally.worst > WORST:
            args.findings.mkdir(exist_ok=True)
            name = args.findings / f"{target}-slow-{hashlib.sha256(tally.slowest).hexdigest()[:12]}"
            name.write_bytes(tally.slowest)
            print(f"  too slow: {name}")


def with_coverage(target: str, seconds: float, seed: int, findings: Path) -> None:
    """Fuzz one target with atheris, which ends the process when its time is over."""
    import atheris

    with atheris.instrument_imports(include=["dialog_sip"]):
        from fuzz.targets import READS, TARGETS
    run, tally = TARGETS[target], Tally()

    def one(data: bytes) -> None:
        tally.note(data, timed(run, data) / READS.get(target, 1))
        if tally.inputs % 50_000 == 0:
            print(f"{target}: {tally.inputs:,} inputs, worst {tally.worst * 1000:.2f} ms", flush=True)

    findings.mkdir(exist_ok=True)
    grown = findings / f"{target}-corpus"
    grown.mkdir(exist_ok=True)
    options = [f"-max_total_time={seconds:.0f}", f"-max_len={MAX_INPUT}", f"-seed={seed}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={findings}/", str(grown), str(CORPUS / target)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
