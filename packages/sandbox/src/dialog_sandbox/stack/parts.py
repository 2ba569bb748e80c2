"""The processes of a stack as data: name, command line, readiness, what each needs to be ready before it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of service."""

    name: str
    module: str
    needs: tuple[str, ...]
    """Parts that must be ready first, where the stack has them."""


KINDS: tuple[Kind, ...] = (
    Kind("provisioner", "dialog_provisioner", ("kafka", "postgres")),
    Kind("registrar", "dialog_registrar", ("kafka", "postgres", "pbx")),
    Kind("bridge", "dialog_bridge", ("kafka",)),
    Kind("console", "dialog_console", ("kafka",)),
)
"""In the order in which they are told."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process."""

    name: str
    """Unique; also the instance id and the name of the log."""
    argv: tuple[str, ...]
    ready: str
    """URL that answers 200 once the process does its work."""
    needs: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    """In addition to our own environment."""


def service(kind: Kind, number: int, conf: Path, http_port: int, env: Mapping[str, str]) -> Part:
    """Return the ``number``-th instance of a service."""
    name, http = f"{kind.name}-{number}", f"127.0.0.1:{http_port}"
    argv = (sys.executable, "-m", kind.module, "--conf", str(conf), "--instance", name, "--http", http)
    return Part(name, argv, f"http://{http}/readyz", kind.needs, env)


def pbx(sip_port: int, http_port: int, password: str, memory: Path) -> Part:
    """Return the sandbox PBX; the password comes in its environment, not on its command line.

    ``memory`` keeps its bindings: registrars go on with what they were granted before a restart.
    """
    http = f"127.0.0.1:{http_port}"
    sip = f"127.0.0.1:{sip_port}"
    argv = (sys.executable, "-m", "dialog_sandbox.pbx", "--sip", sip, "--http", http, "--memory", str(memory))
    return Part("pbx", argv, f"http://{http}/bindings", env={"SIP_PASSWORD": password})
