"""``python -m dialog_console``: be the service."""

from __future__ import annotations

from dialog_runtime.service import run
from dialog_schemas.instances import ServiceName

from dialog_console.adapters.host import ConsoleHost
from dialog_console.bootstrap import build


def main() -> None:
    """Run until told to stop."""
    host = ConsoleHost()
    run(ServiceName.CONSOLE, lambda service: build(service, host), host.at)


if __name__ == "__main__":
    main()
