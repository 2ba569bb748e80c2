"""``python -m dialog_provisioner``: be the service."""

from __future__ import annotations

from dialog_runtime.service import run
from dialog_schemas.instances import ServiceName

from dialog_provisioner.bootstrap import build


def main() -> None:
    """Run until told to stop."""
    run(ServiceName.PROVISIONER, build)


if __name__ == "__main__":
    main()
