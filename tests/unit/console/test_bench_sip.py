"""bench sip: its messages, its rows, and that every library that is there reads the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from dialog_console.benchmarks.sip import message_rows, parse, peers, run, transaction_rows
from dialog_console.benchmarks.sip.messages import Kind, messages
from dialog_console.benchmarks.sip.pairs import PAIR
from dialog_console.benchmarks.sip.readers import OURS, READERS
from dialog_console.benchmarks.sip.worker import rate
from dialog_sandbox.errors import SandboxError
from dialog_sip import admit
from dialog_sip.message import Message


@pytest.mark.parametrize("kind", list(Kind))
def test_the_messages_are_sound_and_no_two_alike(kind: Kind) -> None:
    made = messages(kind, 50)
    assert len(set(made)) == 50
    for data in made:
        message = admit(data)
        assert isinstance(message, Message)
        assert message.encode() == data


def test_an_invite_is_as_large_as_said() -> None:
    assert len(messages(Kind.INVITE, 1)[0]) in range(1050, 1200)


@pytest.mark.parametrize("kind", list(Kind))
def test_our_reader_reads_them(kind: Kind) -> None:
    reader = READERS[OURS]()
    assert reader.every(messages(kind, 1)[0])


def test_what_a_library_cannot_read_has_no_rate() -> None:
    def refuses(data: bytes) -> object:
        raise ValueError(data)

    assert rate(refuses, messages(Kind.OK, 1)) is None


def test_the_aim_is_to_be_ahead_of_all_and_never_less_than_the_number() -> None:
    name = f"{Kind.INVITE} all headers"
    rows = {row.name: row for row in message_rows({OURS: {name: 41_000.0}, "other": {name: 39_000.0}})}
    assert rows[name].ok
    rows = {row.name: row for row in message_rows({OURS: {name: 41_000.0}, "other": {name: 42_000.0}})}
    assert rows[name].ok is False


def test_what_another_library_leaves_as_text_is_said_beside_its_number() -> None:
    name = f"{Kind.REGISTER} all headers"
    rows = {row.name: row for row in message_rows({OURS: {name: 41_000.0}, "voip-utils": {name: 39_000.0}})}
    assert rows[name].peers.startswith("voip-utils 39,000 (one value a name")


def test_transactions_stand_beside_those_of_others() -> None:
    pair, transactions, idle = transaction_rows({OURS: {PAIR: 30_000.0}, "aiosipua": {PAIR: 10_000.0}, "x": {}}, 700.0)
    assert (pair.ok, pair.peers) == (True, "aiosipua 100")
    assert (transactions.value, transactions.ok, transactions.peers) == (60_000.0, True, "aiosipua 20,000")
    assert idle.value == 700.0


async def test_a_library_that_is_not_there_is_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def measure(name: str, _folder: object) -> tuple[dict[str, float], str]:
        return ({}, "left out, it took too long") if name == "slow" else ({PAIR: 1.0}, "")

    monkeypatch.setattr("dialog_console.benchmarks.sip._measure", measure)
    monkeypatch.setattr(peers, "prepare", lambda: ({"slow": Path()}, {"gone": "left out, no such package"}))
    rows = {row.name: row.peers for row in await run(parse([]))}
    assert rows["slow"] == "left out, it took too long"
    assert rows["gone"] == "left out, no such package"


def test_options() -> None:
    assert parse(["--no-peers", "--rounds", "1"]).rounds == 1
    with pytest.raises(SandboxError):
        parse(["--faster"])
