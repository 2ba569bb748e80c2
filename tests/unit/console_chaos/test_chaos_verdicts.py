"""What the evidence proves: each check finds what is wrong, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from dialog_console.chaos.model.edits import Pbx, Row
from dialog_console.chaos.model.evidence import Evidence, Lapse, Leak, RowWas, Span, State
from dialog_console.chaos.model.verdicts import CHECKS, SETTLING, SHOWN, Verdict, judge, unsettled
from dialog_schemas.mappings import MappingRejected, MappingUpserted, PeerType, Transport
from dialog_schemas.registrations import RegistrationState, RegistrationStatus

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTACT = "sip:{}@127.0.0.1:5070"


def mapping(user: str, revision: str) -> MappingUpserted:
    return MappingUpserted(
        aor=f"{user}@127.0.0.1", sip_user=user, sip_host="127.0.0.1", sip_port=5060, transport=Transport.UDP,
        peer_type=PeerType.USER, peer_id=1, register=True, can_call=True, can_be_called=True, revision=revision,
    )  # fmt: skip


def status(user: str, **changes: object) -> RegistrationStatus:
    good = RegistrationStatus(
        aor=f"{user}@127.0.0.1", state=RegistrationState.REGISTERED, owner="registrar-1", mapping_revision="db.7",
        contact=CONTACT.format(user), expires_at=NOW + timedelta(seconds=30), call_id=f"c-{user}", cseq=300,
    )  # fmt: skip
    return good.model_copy(update=changes)


def evidence(row: Row | None = None) -> Evidence:
    """Everything as it should be, of one row."""
    row = row or Row("alice", Pbx.SIMULATOR)
    aor = f"{row.user}@127.0.0.1"
    now = status(row.user)
    state = State(
        NOW.timestamp(),
        {row.user: row},
        {aor: mapping(row.user, "7")},
        {aor: mapping(row.user, "db.7")},
        {aor: now},
        {row.pbx: {row.user: [CONTACT.format(row.user)]}},
    )
    return Evidence({row.user: row}, state, 90, [(aor, now)], {row.user: [RowWas(0, 1, row)]})


def broken(seen: Evidence) -> dict[str, tuple[str, ...]]:
    return {verdict.name: verdict.problems for verdict in judge(seen) if not verdict.ok}


def test_all_holds_where_all_is_well() -> None:
    assert broken(evidence()) == {}
    assert unsettled(evidence()) == []
    assert [verdict.name for verdict in judge(evidence())] == list(CHECKS)


AOR = "alice@127.0.0.1"
TABLE, MAPPINGS, STATUSES, BINDINGS, LAPSES, CSEQ, STORM, SECRETS, CRASHES = CHECKS
ALICE = Row("alice", Pbx.SIMULATOR)


def _lost_edit(seen: Evidence) -> None:
    seen.planned = {"alice": Row("alice", Pbx.SIMULATOR, can_call=False)}


def _row_too_many(seen: Evidence) -> None:
    seen.planned = {}


def _stale_mapping(seen: Evidence) -> None:
    seen.state.mappings = {AOR: mapping("alice", "db.6")}
    seen.state.statuses = {AOR: status("alice", mapping_revision="db.6")}


def _no_mapping(seen: Evidence) -> None:
    seen.state.mappings = seen.state.statuses = {}


def _rejected_mapping(seen: Evidence) -> None:
    seen.state.mappings = {AOR: MappingRejected(aor=AOR, reason="no", revision="db.7")}


def _no_status(seen: Evidence) -> None:
    seen.state.statuses = {}


def _old_status(seen: Evidence) -> None:
    seen.state.statuses = {AOR: status("alice", mapping_revision="db.6")}


def _retrying(seen: Evidence) -> None:
    seen.state.statuses = {AOR: status("alice", state=RegistrationState.RETRYING)}


def _late_status(seen: Evidence) -> None:
    seen.state.statuses = {AOR: status("alice", expires_at=NOW - timedelta(seconds=1))}


def _no_binding(seen: Evidence) -> None:
    seen.state.bindings = {}


def _two_bindings(seen: Evidence) -> None:
    seen.state.bindings = {Pbx.SIMULATOR: {"alice": [CONTACT.format("alice"), "sip:alice@dead"]}}


def _unwanted_binding(seen: Evidence) -> None:
    seen.state.bindings = {**seen.state.bindings, Pbx.KAMAILIO: {"alice": ["sip:alice@old"]}}


def _other_contact(seen: Evidence) -> None:
    seen.state.bindings = {Pbx.SIMULATOR: {"alice": ["sip:alice@elsewhere"]}}


def _lapse(seen: Evidence) -> None:
    seen.lapses = [Lapse("alice", Pbx.SIMULATOR, 1000.0, 90)]


def _cseq_back_at_the_pbx(seen: Evidence) -> None:
    seen.cseq_back = 1


def _cseq_back_in_history(seen: Evidence) -> None:
    seen.history = [(AOR, status("alice", cseq=301)), (AOR, None), (AOR, status("alice", cseq=300))]


def _storm(seen: Evidence) -> None:
    seen.most_in_20_s = 7


def _leak(seen: Evidence) -> None:
    seen.leaks = [Leak("registrar-1.log", "the SIP password")]


def _crash(seen: Evidence) -> None:
    seen.ended_by_themselves = ["registrar-1"]


def _core(seen: Evidence) -> None:
    seen.cores = ["core.7"]


@pytest.mark.parametrize(
    ("wrong", "check", "words"),
    [
        (_lost_edit, TABLE, "alice: Row("),
        (_row_too_many, TABLE, "no such row was wanted"),
        (_stale_mapping, MAPPINGS, "the row's xmin is 7, the mapping's revision db.6"),
        (_no_mapping, MAPPINGS, "a row, but no mapping"),
        (_rejected_mapping, MAPPINGS, AOR),
        (_no_status, STATUSES, "no status"),
        (_old_status, STATUSES, "of revision db.6, the mapping of db.7"),
        (_retrying, STATUSES, "retrying instead of registered"),
        (_late_status, STATUSES, "its binding ended"),
        (_no_binding, BINDINGS, "0 bindings at simulator"),
        (_two_bindings, BINDINGS, "2 bindings at simulator"),
        (_unwanted_binding, BINDINGS, "bound at kamailio against its row"),
        (_other_contact, BINDINGS, "the status says sip:alice@127.0.0.1:5070"),
        (_lapse, LAPSES, "lapsed at simulator at 00:16:40.000"),
        (_cseq_back_at_the_pbx, CSEQ, "1 REGISTERs"),
        (_cseq_back_in_history, CSEQ, "300 was committed after 301"),
        (_storm, STORM, "7 REGISTER"),
        (_leak, SECRETS, "the SIP password in registrar-1.log"),
        (_crash, CRASHES, "registrar-1 ended by itself"),
        (_core, CRASHES, "core dump core.7"),
    ],
)
def test_each_check_finds_what_is_wrong_and_no_other_does(
    wrong: Callable[[Evidence], None], check: str, words: str
) -> None:
    seen = evidence()
    wrong(seen)
    found = broken(seen)
    assert list(found) == [check]
    assert words in found[check][0]
    assert [verdict.name for verdict in unsettled(seen)] == [name for name in SETTLING if name == check]


@pytest.mark.parametrize(
    ("row", "state", "fits"),
    [
        (Row("alice", Pbx.SIMULATOR, register=False), RegistrationState.UNREGISTERED, True),
        (Row("alice", Pbx.SIMULATOR, register=False), RegistrationState.REGISTERED, False),
        (Row("alice", Pbx.SIMULATOR, right=False), RegistrationState.REJECTED, True),
        (Row("alice", Pbx.SIMULATOR, right=False), RegistrationState.RETRYING, True),
        (Row("alice", Pbx.SIMULATOR, right=False), RegistrationState.UNREGISTERED, False),
        (Row("alice", Pbx.SIMULATOR, usable=False), RegistrationState.REJECTED, True),
        (Row("alice", Pbx.SIMULATOR, usable=False), RegistrationState.RETRYING, False),
    ],
)
def test_a_row_that_is_not_to_be_bound_has_a_status_that_says_so(
    row: Row, state: RegistrationState, fits: bool
) -> None:
    seen = evidence(row)
    seen.state.bindings = {}
    seen.state.statuses = {AOR: status("alice", state=state)}
    assert (broken(seen) == {}) is fits


def test_an_edit_that_only_writes_the_row_again_changes_nothing_of_it() -> None:
    seen = evidence()
    seen.planned = {"alice": Row("alice", Pbx.SIMULATOR, version=3)}
    assert broken(seen) == {}


def test_many_problems_are_counted_and_some_are_told() -> None:
    seen = evidence()
    seen.leaks = [Leak(f"{number}.log", "it") for number in range(50)]
    verdict: Verdict = next(it for it in judge(seen) if not it.ok)
    assert (len(verdict.problems), verdict.count) == (SHOWN, 50)


def test_a_blocked_pbx_excuses_a_lapse() -> None:
    seen = evidence()
    seen.lapses = [Lapse("alice", Pbx.SIMULATOR, 1000.0, 90)]
    seen.blocked = [Span("simulator", 990.0, 999.0)]
    assert broken(seen) == {}
