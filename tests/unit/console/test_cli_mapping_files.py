"""CSV of the table's rows, and rows beside their statuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from dialog_console.cli import app, mappings
from dialog_console.model.mapping_file import MappingFileError, problems, read, row_of, write
from dialog_console.model.mapping_list import NO_STATUS, beside
from dialog_sandbox.errors import SandboxError
from dialog_schemas.registrations import RegistrationState, RegistrationStatus
from rich.console import Console
from typer.testing import CliRunner

HEADER = "sip_user,sip_host,sip_port,sip_parameters\n"


def row(user: str = "434", xmin: str = "7", **columns: str | None) -> dict[str, str | None]:
    names = ("sip_port", "sip_parameters", "sip_headers", "peer_type", "peer_id", "peer_str_id")
    switches = {"register": "true", "can_call": "true", "can_be_called": "false"}
    return {"sip_user": user, "sip_host": "pbx", **dict.fromkeys(names), **switches, "xmin": xmin, **columns}


def status(aor: str = "434@pbx", revision: str = "c.7", **fields: object) -> RegistrationStatus:
    state = fields.pop("state", RegistrationState.REGISTERED)
    return RegistrationStatus.model_validate(
        {"aor": aor, "state": state, "owner": "registrar-1", "mapping_revision": revision, **fields}
    )


def test_a_file_is_read_with_its_line_numbers() -> None:
    found = read(HEADER + '434,pbx,,"{""transport"":\n ""tcp""}"\n\n435,pbx,5070,\n')
    assert found.columns == ("sip_user", "sip_host", "sip_port", "sip_parameters")
    assert [line.number for line in found.lines] == [2, 5]
    assert found.lines[0].values["sip_port"] is None
    assert found.lines[1].values == {"sip_user": "435", "sip_host": "pbx", "sip_port": "5070", "sip_parameters": None}
    assert found.problems() == []


def test_what_was_written_is_read_back() -> None:
    columns = ("sip_user", "sip_host", "sip_parameters")
    values = {"sip_user": "434", "sip_host": "pbx", "sip_parameters": '{"transport": "tcp", "note": "a,\nb"}'}
    assert read("\ufeff" + write(columns, [values])).lines[0].values == values


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("sip_user,sip_host,pasword\n", "line 1: no column is called 'pasword'"),
        ("sip_user,sip_port\n", "line 1: column sip_host is missing"),
        ("sip_user,sip_host,sip_host\n", "line 1: a column is named twice"),
        (HEADER + "434,pbx,5060,{}\n435,pbx\n", "line 3: 2 fields where the header has 4"),
        (HEADER + '434,"pbx"x,5060,{}\n', "line 2: no CSV"),
        (HEADER + '434,"pbx,5060,{}\n', "line 2: no CSV"),
    ],
)
def test_a_file_that_cannot_be_read_names_the_line(text: str, words: str) -> None:
    with pytest.raises(MappingFileError, match=words):
        read(text)


def test_bad_rows_are_named_by_their_lines_and_second_ones_too() -> None:
    found = read(HEADER + "434,pbx,0,{}\n435,pbx,5060,{}\n435,pbx,5061,{}\n,pbx,,\n")
    assert [(problem.where, problem.aor) for problem in found.problems()] == [
        ("line 2", "434@pbx"), ("line 4", "435@pbx"), ("line 5", "@pbx")]  # fmt: skip
    assert str(found.problems()[0]).startswith("line 2: 434@pbx: sip_port is 0")
    assert "another row" in found.problems()[1].reason


def test_rows_without_an_address_are_no_second_ones_of_each_other() -> None:
    rows = [row_of({}, "1"), row_of({}, "2")]
    found = problems(rows, {"1": "line 2", "2": "line 3"})
    assert [problem.reason.count("another row") for problem in found] == [0, 0]


def test_check_of_a_file_prints_a_line_a_row_and_exits_by_them(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text(HEADER + "434,pbx,0,{}\n435,pbx,,{}\n")
    result = CliRunner().invoke(app.build(), ["mappings", "check", str(file)])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert result.output.startswith("line 2: 434@pbx: sip_port is 0: write a number from 1 to 65535")
    file.write_text(HEADER + "435,pbx,,{}\n")
    assert CliRunner().invoke(app.build(), ["mappings", "check", str(file)]).exit_code == 0


def test_a_file_that_is_not_there_or_no_text_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="cannot be read"):
        mappings.file_of(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"sip_user,sip_host\n\xfc,pbx\n")
    with pytest.raises(SandboxError, match="not UTF-8"):
        mappings.file_of(tmp_path / "latin.csv")


def test_rows_get_the_status_of_their_address() -> None:
    first, second = beside([row(), row("435")], [status(), status("436@pbx")])
    assert (first.state, first.is_current) == ("registered", True)
    assert (second.state, second.is_current) == (NO_STATUS, False)


def test_a_status_of_the_row_before_its_last_change_says_so() -> None:
    (only,) = beside([row(xmin="8")], [status()])
    assert (only.state, only.is_current) == ("registered", False)
    assert "the row has changed since" in _text([only])


def test_a_row_that_was_usable_once_and_is_rejected_now_is_told_of_as_it_is() -> None:
    (only,) = beside([row(xmin="8")], [status(state=RegistrationState.REJECTED, reason="sip_port is 0")])
    assert only.is_current
    assert "the row has changed since" not in _text([only])


def test_of_two_rows_each_has_the_status_of_its_own_revision() -> None:
    rejected = status("434@pbx (row 2)", "c.9", state=RegistrationState.REJECTED, reason="another row")
    first, second = beside([row(xmin="9"), row(xmin="7")], [status(), rejected])
    assert (first.state, second.state) == ("rejected", "registered")


def test_rows_are_found_by_any_text_of_theirs() -> None:
    (only,) = beside([row(sip_parameters='{"transport": "wss"}')], [status(reason="Wrong password")])
    assert only.mentions("WSS")
    assert only.mentions("wrong pass")
    assert not only.mentions("tcp")


def test_the_list_shows_trouble_first_and_no_markup_of_a_row() -> None:
    bad = status("435@pbx", state=RegistrationState.RETRYING, reason="no [red]answer[/]")
    text = _text(beside([row(), row("435", can_be_called="t")], [status(), bad]))
    assert "Mappings: 1 registered, 1 retrying" in text
    assert text.index("435@pbx") < text.index("434@pbx")
    assert "no [red]answer[/]" in text
    assert "register, call, be called" in text


def test_json_has_row_and_status_and_no_revision_of_the_database() -> None:
    (only,) = beside([row()], [status()])
    told = only.as_json()
    assert (told["aor"], told["state"], told["current"], told["status"]["owner"]) == (
        "434@pbx", "registered", True, "registrar-1")  # fmt: skip
    assert "xmin" not in told["row"]


def test_a_state_that_is_none_is_refused() -> None:
    result = CliRunner().invoke(app.build(), ["mappings", "list", "--state", "happy"])
    assert isinstance(result.exception, SandboxError)
    assert "no state is called happy" in str(result.exception)


def _text(rows: list[mappings.Listed]) -> str:  # type: ignore[name-defined]
    console = Console(width=200)
    with console.capture() as captured:
        console.print(mappings.shown(rows))
    return captured.get()
