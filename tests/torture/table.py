"""The table in docs/torture.md, made of the cases. ``python tests/torture/table.py`` writes it anew."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from torture.case import Case, Verdict
from torture.cases import CASES

PAGE = Path(__file__).parents[2] / "docs" / "torture.md"
_BEGIN, _END = "<!-- cases: begin -->\n", "<!-- cases: end -->\n"


def rows(cases: tuple[Case, ...] = CASES) -> str:
    """Return the table."""
    lines = [
        "| RFC, section | test | the trick | as a user agent (registrar for REGISTER) | as a proxy |",
        "|---|---|---|---|---|",
        *(_row(case) for case in cases),
    ]
    return "\n".join(lines) + "\n"


def _row(case: Case) -> str:
    read = " It is well-formed: its fields are read." if case.is_well_formed and case.agent != "taken" else ""
    trick = f"{case.trick}.{read}{f' *{case.note}*' if case.note else ''}".replace("|", "\\|")
    proxy = "" if case.proxy is None else _verdict(case.proxy)
    return f"| {case.rfc}, {case.section} | `{case.id}` | {trick} | {_verdict(case.agent)} | {proxy} |"


def _verdict(verdict: Verdict) -> str:
    return str(verdict)


def page(text: str) -> str:
    """Return the page with its table replaced."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{rows()}\n{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
