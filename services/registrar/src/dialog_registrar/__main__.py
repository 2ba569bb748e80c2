"""``python -m dialog_registrar``: the registrar service."""

from __future__ import annotations

from dialog_runtime.service import run
from dialog_schemas.instances import ServiceName

from dialog_registrar.bootstrap import build


def main() -> None:
    """Run until told to stop. Ends the process with its exit code."""
    run(ServiceName.REGISTRAR, build)


if __name__ == "__main__":
    main()
