from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dialog_console.benchmarks import BENCHMARKS
from dialog_console.benchmarks.process_stats import cpu_seconds, resident_bytes
from dialog_console.benchmarks.row import Aim, Row, all_reached, number, percentile
from dialog_console.cli import app, bench, doctor, test, up
from dialog_sandbox.errors import SandboxError
from typer.testing import CliRunner

RUNNER = CliRunner()


@pytest.mark.parametrize("name", [name for name, _ in app.COMMANDS])
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    result = RUNNER.invoke(app.build(), [name, "--help"], env={"COLUMNS": "120"})
    assert result.exit_code == 0
    assert "dialog-sip" in result.output


def test_help_imports_nothing_heavy() -> None:
    import subprocess

    code = (
        "import sys; from dialog_console.cli import app; app.build()\n"
        "print([name for name in ('aiokafka', 'aiortc', 'jgo', 'pyhocon', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_wrong_argument_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["dialog-sip", "up", "--without", "fax"])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("dialog-sip: no part is called fax")
    assert error.count("\n") == 1


def test_scale_is_read() -> None:
    assert up.parse_scale("registrar=2") == ("registrar", 2)
    for wrong in ("registrar", "=2", "bridge=many", "bridge=-1"):
        with pytest.raises(SandboxError, match="--scale"):
            up.parse_scale(wrong)


def test_only_the_generated_password_is_shown() -> None:
    from dialog_sandbox.stack import Ports
    from dialog_sandbox.stack.conf import Given
    from pydantic import SecretStr

    def stack(**parts: Any) -> Any:
        base = {"page": None, "pbx_control": None, "bootstrap": "h:1", "postgres": None, "given": Given()}
        return SimpleNamespace(**(base | {"conf": Path("/s/c"), "state": Path("/s"), "ports": Ports()} | parts))

    own = SimpleNamespace(password=SecretStr("pw"), psql="/x y/psql", host="127.0.0.1", port=1, user="u", db="d")
    assert "PostgreSQL  PGPASSWORD=pw '/x y/psql' -h 127.0.0.1 -p 1 -U u d" in list(up.addresses(stack(postgres=own)))
    assert "PostgreSQL  db.example" in list(up.addresses(stack(given=Given(postgres="db.example"))))


def test_checks_come_cheap_first_and_pytest_gets_the_rest() -> None:
    checks = test.checks(["tests/unit/sip", "-k", "digest"], fast=False)
    assert [check.name for check in checks][-1] == "pytest"
    assert checks[-1].argv[-3:] == ("tests/unit/sip", "-k", "digest")
    assert test.checks([], fast=True)[-1].argv[-1] == "tests/unit"
    assert test.checks([], fast=False)[-1].argv[-1] == "pytest"


def test_a_failed_check_shows_in_the_summary(tmp_path: Path) -> None:
    outcome = test.run(test.Check("thing", (sys.executable, "-c", "raise SystemExit(4)")), tmp_path)
    assert outcome.code == 4
    assert list(test.summary([outcome]).columns[1].cells) == ["[red]failed (exit 4)"]


def test_the_checkout_is_found() -> None:
    from dialog_console.cli.checkout import checkout

    assert (checkout() / "tests" / "conftest.py").is_file()


def test_the_doctor_names_every_part() -> None:
    names = [finding.name for finding in doctor.examine()]
    assert names[:4] == ["Python", "Java", "Kafka", "PostgreSQL"]
    assert {"Chromium", "Kamailio", "SIPp", "baresip", "Docker"} <= set(names)


@pytest.mark.parametrize(
    ("aim", "value", "reached"),
    [
        (Aim(2), 2, True), (Aim(2), 2.1, False), (Aim(2, at_most=False), 2, True),
        (Aim(2, at_most=False), 1.9, False), (Aim(2), math.nan, False),
    ],
)  # fmt: skip
def test_aims(aim: Aim, value: float, reached: bool) -> None:
    assert aim.reached_by(value) is reached


def test_rows_without_an_aim_do_not_count() -> None:
    free, good, bad = Row("a", 1, "s"), Row("b", 1, "s", Aim(1)), Row("c", 2, "s", Aim(1))
    assert all_reached([free, good])
    assert not all_reached([free, good, bad])
    assert [row.ok for row in (free, good, bad)] == [None, True, False]


def test_a_row_is_valid_json() -> None:
    row = Row("p50", math.nan, "ms", Aim(5), "others 7")
    assert json.loads(json.dumps(row.as_json(), allow_nan=False)) == {
        "name": "p50", "value": None, "unit": "ms", "aim": "<= 5.00", "peers": "others 7", "ok": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.01234, "0.0123"), (1.5, "1.50"), (12.34, "12.3"), (98765.4, "98,765"), (0, "0"), (math.inf, "inf")],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_percentiles() -> None:
    assert percentile([3, 1, 2], 50) == 2
    assert percentile(range(1, 101), 99) == 99
    assert math.isnan(percentile([], 50))


def test_bench_exits_by_the_aims(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, code in ((1, 0), (3, 1)):
        monkeypatch.setattr(bench, "measure", lambda *_, value=value: [Row("row", value, "ms", Aim(2))])
        assert RUNNER.invoke(app.build(), ["bench", "bus"]).exit_code == code
        result = RUNNER.invoke(app.build(), ["bench", "bus", "--json"])
        assert result.exit_code == code
        assert json.loads(result.output)[0]["ok"] is (code == 0)


def test_bench_lists_and_refuses() -> None:
    assert next(iter(BENCHMARKS)) in RUNNER.invoke(app.build(), ["bench"]).output
    with pytest.raises(SandboxError, match="no benchmark is called nothing"):
        bench.measure("nothing")


def test_cpu_time_and_memory_of_a_process() -> None:
    before = cpu_seconds(os.getpid())
    deadline = time.process_time() + 0.1
    while time.process_time() < deadline:
        pass
    assert 0.05 <= cpu_seconds(os.getpid()) - before < 5
    assert resident_bytes(os.getpid()) > 2**20
    with pytest.raises(ProcessLookupError):
        cpu_seconds(2**22 + 1)


def test_a_process_name_with_blanks_and_brackets(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    fields = ["S", *["0"] * 10, "150", "50", *["0"] * 8, "3", "0"]
    (tmp_path / "7" / "stat").write_text(f"7 (a) b) {' '.join(fields)}\n")
    assert cpu_seconds(7, tmp_path) == 200 / os.sysconf("SC_CLK_TCK")
    assert resident_bytes(7, tmp_path) == 3 * os.sysconf("SC_PAGE_SIZE")
