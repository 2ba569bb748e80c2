"""What must hold, each as a function of the evidence that returns what is wrong, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from dialog_runtime.table.check import Checked
from dialog_schemas.registrations import RegistrationState, RegistrationStatus

from dialog_console.chaos.model.edits import Pbx, Row
from dialog_console.chaos.model.evidence import Evidence, State
from dialog_console.chaos.model.lapses import unexcused

STORM = 6
"""REGISTER transactions that one user may make in 20 seconds."""
SHOWN = 20
"""Problems of one check that are told in words; all are counted."""
HOST = "127.0.0.1"
"""``sip_host`` of every row."""

Problems = Iterator[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one check went."""

    name: str
    problems: tuple[str, ...]
    """The first :data:`SHOWN`."""
    count: int

    @property
    def ok(self) -> bool:
        """True where nothing is wrong."""
        return self.count == 0


def aor_of(user: str) -> str:
    """Return the key of a row on every topic."""
    return f"{user}@{HOST}"


def table_as_planned(evidence: Evidence) -> Problems:
    """Find rows that are not as the edits left them: an edit got lost, or autocreate did."""
    yield from _differences("row", evidence.planned, evidence.state.table)


def mappings_as_the_table(evidence: Evidence) -> Problems:
    """Find rows whose last change is not on ``sip.mappings``."""
    state = evidence.state
    for aor in sorted(state.rows.keys() | state.mappings.keys()):
        wanted, found = state.rows.get(aor), state.mappings.get(aor)
        if wanted is None or found is None:
            yield f"{aor}: {'no row, but still a mapping' if wanted is None else 'a row, but no mapping'}"
        elif not _is_same(wanted, found):
            yield f"{aor}: the row's xmin is {wanted.revision}, the mapping's revision {found.revision}"


def statuses_as_the_rows(evidence: Evidence) -> Problems:
    """Find mappings whose last status is missing, of another revision, or not what the row asks for."""
    state = evidence.state
    for aor in sorted(state.mappings.keys() | state.statuses.keys()):
        mapping, status = state.mappings.get(aor), state.statuses.get(aor)
        if mapping is None or status is None:
            yield f"{aor}: {'a status without a mapping' if mapping is None else 'no status'}"
        elif status.mapping_revision != mapping.revision:
            yield f"{aor}: the status is of revision {status.mapping_revision}, the mapping of {mapping.revision}"
    for user, row in sorted(state.table.items()):
        status = state.statuses.get(aor_of(user))
        if status is not None and (problem := _unfitting(row, status, state)):
            yield f"{aor_of(user)}: {problem}"


def bindings_as_the_rows(evidence: Evidence) -> Problems:
    """Find bindings that no row asks for, rows without theirs, and Contacts that the status does not tell."""
    state = evidence.state
    for pbx in Pbx:
        bound = state.bindings.get(pbx, {})
        wanted = {user for user, row in state.table.items() if row.pbx is pbx and row.is_bound}
        for user in sorted(wanted | bound.keys()):
            contacts = bound.get(user, ())
            if user not in wanted:
                yield f"{user}: bound at {pbx} against its row: {', '.join(contacts)}"
            elif len(contacts) != 1:
                yield f"{user}: {len(contacts)} bindings at {pbx}: {', '.join(contacts)}"
            elif (status := state.statuses.get(aor_of(user))) is not None and status.contact != contacts[0]:
                yield f"{user}: {pbx} has {contacts[0]}, the status says {status.contact}"


def nothing_lapsed(evidence: Evidence) -> Problems:
    """Find granted bindings that lapsed although somebody could have renewed them."""
    for lapse in unexcused(evidence):
        when = datetime.fromtimestamp(lapse.ended, UTC)
        yield f"{lapse.user}: lapsed at {lapse.pbx} at {when:%H:%M:%S.%f}"[:-3]


def cseq_only_grows(evidence: Evidence) -> Problems:
    """Find Call-IDs with a CSeq that went back: at the PBX, or in what was committed."""
    if evidence.cseq_back:
        yield f"{evidence.cseq_back} REGISTERs at the simulator"
    last: dict[str, int] = {}
    for aor, status in evidence.history:
        if status is None or status.call_id is None:
            continue
        if status.cseq < last.get(status.call_id, 0):
            yield f"{aor}: {status.cseq} was committed after {last[status.call_id]} by {status.owner}"
        last[status.call_id] = max(status.cseq, last.get(status.call_id, 0))


def no_storm(evidence: Evidence) -> Problems:
    """Find whether more REGISTERs came for one user than may be, whoever sent them."""
    if evidence.most_in_20_s > STORM:
        yield f"{evidence.most_in_20_s} REGISTER transactions of one user in 20 s"


def no_secret_told(evidence: Evidence) -> Problems:
    """Find secrets in topics, logs, metrics and process lists."""
    for leak in evidence.leaks:
        yield f"{leak.what} in {leak.where}"


def nobody_crashed(evidence: Evidence) -> Problems:
    """Find parts that ended without being told to, and core dumps."""
    yield from (f"{name} ended by itself" for name in evidence.ended_by_themselves)
    yield from (f"core dump {name}" for name in evidence.cores)


CHECKS: dict[str, Callable[[Evidence], Problems]] = {
    "every edit and every dialog user is in the table": table_as_planned,
    "every mapping change arrived": mappings_as_the_table,
    "every status is as its row says, none is lost": statuses_as_the_rows,
    "every binding at the PBXs is as its row says": bindings_as_the_rows,
    "no granted binding lapsed": nothing_lapsed,
    "no CSeq went back": cseq_only_grows,
    "no user made a storm": no_storm,
    "no secret anywhere": no_secret_told,
    "no process crashed": nobody_crashed,
}
"""Everything that must hold."""

SETTLING = tuple(CHECKS)[:4]
"""What takes a moment after the last fault."""


def judge(evidence: Evidence) -> list[Verdict]:
    """Apply every check."""
    return [_verdict(name, evidence) for name in CHECKS]


def unsettled(evidence: Evidence) -> list[Verdict]:
    """Return the checks that do not hold yet, of those that may take a moment."""
    return [verdict for name in SETTLING if not (verdict := _verdict(name, evidence)).ok]


def _verdict(name: str, evidence: Evidence) -> Verdict:
    found = CHECKS[name](evidence)
    shown = tuple(islice(found, SHOWN))
    return Verdict(name, shown, len(shown) + sum(1 for _ in found))


def _is_same(wanted: Checked, found: Checked) -> bool:
    """Compare a row and a mapping; the mapping's revision has the number of the database before the row's ``xmin``."""
    return (
        type(wanted) is type(found)
        and found.revision.rpartition(".")[2] == wanted.revision
        and found.model_copy(update={"revision": wanted.revision}) == wanted
    )


def _unfitting(row: Row, status: RegistrationStatus, state: State) -> str:
    if row.is_bound:
        good = status.state is RegistrationState.REGISTERED
        if not good:
            return f"{status.state} instead of registered: {status.reason}"
        late = status.expires_at is None or status.expires_at.timestamp() < state.at
        return f"its binding ended at {status.expires_at}, as the status says" if late else ""
    allowed = _ALLOWED[row.usable, row.register]
    return "" if status.state in allowed else f"{status.state} instead of {' or '.join(sorted(allowed))}"


_REFUSED = frozenset({RegistrationState.REJECTED, RegistrationState.RETRYING})
_ALLOWED = {
    (True, True): _REFUSED,
    (True, False): frozenset({RegistrationState.UNREGISTERED}),
    (False, True): frozenset({RegistrationState.REJECTED}),
    (False, False): frozenset({RegistrationState.REJECTED}),
}
"""(usable, register) of a row that is not bound -> states of its status."""


def _differences(what: str, wanted: dict[str, Row], found: dict[str, Row]) -> Problems:
    for user in sorted(wanted.keys() | found.keys()):
        if user not in found or user not in wanted:
            yield f"{user}: {'is missing' if user not in found else f'no such {what} was wanted'}"
        elif _essence(wanted[user]) != _essence(found[user]):
            yield f"{user}: {found[user]} instead of {wanted[user]}"


def _essence(row: Row) -> tuple[object, ...]:
    return row.pbx, row.register, row.right, row.usable, row.can_call
