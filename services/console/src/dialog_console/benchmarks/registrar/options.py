"""What can be said on the command line of ``bench registrar``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dialog_sandbox.errors import SandboxError

USERS = (1_000, 10_000, 100_000)
MOST_USERS = 200_000


@dataclass(frozen=True, slots=True)
class Options:
    """How large and how long. Times are seconds."""

    users: tuple[int, ...] = USERS
    quick: bool = False
    """All of it with the first number of users and in less than a minute; too short for the aims to mean much."""
    plot: Path | None = None
    """Where the SVG of the outage goes."""

    @property
    def granted(self) -> int:
        """Seconds granted in steady state."""
        return 20 if self.quick else 60

    @property
    def steady(self) -> float:
        """How long steady state is watched."""
        return 10 if self.quick else 180

    @property
    def looks_back(self) -> float:
        """How long it is watched what a registrar sends after a restart."""
        return 4 if self.quick else 15

    @property
    def away(self) -> float:
        """How long the PBX is away."""
        return 5 if self.quick else 60

    @property
    def outage_users(self) -> int:
        """Users of the outage: 10,000 where that was chosen."""
        return 10_000 if 10_000 in self.users else self.users[0]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # it never returns there either
        """Say what is wrong as every command does."""
        raise SandboxError(f"bench registrar: {message}")


def parse(arguments: Sequence[str]) -> Options:
    """Read the options. Raises :class:`SandboxError`."""
    parser = _Parser(prog="dialog-sip bench registrar", add_help=False)
    parser.add_argument("--users", type=_numbers)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args(arguments)
    users = given.users or ((1_000,) if given.quick else USERS)
    return Options(users=users, quick=given.quick, plot=given.plot)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(word) for word in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 1000,10000") from None
    if not all(0 < number <= MOST_USERS for number in numbers):
        raise argparse.ArgumentTypeError(f"1 to {MOST_USERS} users")
    return numbers
