"""One transaction's data, and where all of them are found (RFC 3261 section 17)."""

from __future__ import annotations

from dialog_sip.errors import SipError
from dialog_sip.message import Request, Response
from dialog_sip.transactions.events import FlowLike
from dialog_sip.transactions.tables import CLIENT, INVITE_CLIENT, INVITE_SERVER, SERVER, Machine, State

Key = tuple[str, ...]
"""What a message has in common with its transaction (RFC 3261 sections 17.1.3 and 17.2.3)."""


# Who pings with the same numbers again asks the same again; to answer that twice does nothing twice.
_HARMLESS = frozenset({"OPTIONS", "REGISTER"})


class TooManyTransactionsError(SipError):
    """The bound on transactions is reached and a new request of ours would exceed it: try later.

    No RFC names a bound; it serves RFC 3261 section 17.
    """


class Transaction:
    """State of one transaction (section 17). What happens to it is decided in ``tables`` and done in ``engine``."""

    __slots__ = (
        "ack_key",
        "acks",
        "deadline_at",
        "flow",
        "id",
        "interval",
        "key",
        "machine",
        "merge_key",
        "request",
        "response",
        "retransmit_at",
        "scheduled",
        "sent",
        "state",
    )

    def __init__(self, name: str, key: Key, request: Request, flow: FlowLike, machine: Machine) -> None:
        self.id = name
        """Opaque name, unique in the whole system."""
        self.key = key
        self.request = request
        self.flow = flow
        self.machine = machine
        self.state = machine.start[0]
        self.sent = b""
        """What was sent last, for retransmissions."""
        self.response: Response | None = None
        """The last response, sent or received."""
        self.acks: dict[str, bytes] | None = None
        """Client side of an accepted INVITE: To tag -> our ACK, empty until the TU gave one."""
        self.ack_key: Key | None = None
        """Under what the ACK of a 2xx is found."""
        self.merge_key: Key | None = None
        """Under what the same request, come by another way, is found."""
        self.interval = 0.0
        self.retransmit_at: float | None = None
        self.deadline_at: float | None = None
        self.scheduled: float | None = None

    @property
    def is_client(self) -> bool:
        """True for requests of ours."""
        return self.machine is CLIENT or self.machine is INVITE_CLIENT

    @property
    def is_invite_client(self) -> bool:
        """True for an INVITE of ours."""
        return self.machine is INVITE_CLIENT

    @property
    def is_cancel(self) -> bool:
        """True for a CANCEL: made or answered here, so the TU neither hears of its responses nor of its end."""
        return self.request.method == "CANCEL"

    @property
    def is_unanswered(self) -> bool:
        """True for a request of a peer that has no final response yet."""
        return not self.is_client and self.state in {State.TRYING, State.PROCEEDING}

    @property
    def covers_copies(self) -> bool:
        """True for a request of a peer that must not be taken once more: it has no final response, or did something."""
        if self.is_client or self.response is None or self.response.is_provisional:
            return self.is_unanswered
        return self.response.is_success and self.request.method not in _HARMLESS

    @property
    def next_timer(self) -> float | None:
        """When the next of its timers runs out."""
        if self.retransmit_at is None:
            return self.deadline_at
        return self.retransmit_at if self.deadline_at is None else min(self.retransmit_at, self.deadline_at)


class TransactionStore:
    """All transactions of a layer, found by name, by what a message shows, or by what an ACK shows.

    What a message shows is said in RFC 3261 sections 17.1.3 and 17.2.3.
    """

    __slots__ = ("accepted", "by_id", "clients", "merging", "servers")

    def __init__(self) -> None:
        self.by_id: dict[str, Transaction] = {}
        self.clients: dict[Key, Transaction] = {}
        self.servers: dict[Key, Transaction] = {}
        """In order of arrival."""
        self.accepted: dict[Key, Transaction] = {}
        """INVITEs with a 2xx, by what their ACK has in common with them."""
        self.merging: dict[Key, Transaction] = {}
        """Requests of peers outside SIP dialogs, by what they share with their copies that came by another way."""

    def add(self, transaction: Transaction) -> None:
        """Take in a transaction."""
        self.by_id[transaction.id] = transaction
        side = self.clients if transaction.is_client else self.servers
        side[transaction.key] = transaction

    def watch_merging(self, transaction: Transaction, merge_key: Key) -> None:
        """Make a request findable by its copies."""
        transaction.merge_key = merge_key
        self.merging[merge_key] = transaction

    def accept(self, transaction: Transaction, ack_key: Key) -> None:
        """Make an accepted INVITE findable by its ACK."""
        transaction.ack_key = ack_key
        self.accepted[ack_key] = transaction

    def discard(self, transaction: Transaction) -> None:
        """Forget a transaction."""
        self.by_id.pop(transaction.id, None)
        side = self.clients if transaction.is_client else self.servers
        side.pop(transaction.key, None)
        if transaction.ack_key is not None and self.accepted.get(transaction.ack_key) is transaction:
            del self.accepted[transaction.ack_key]
        if transaction.merge_key is not None and self.merging.get(transaction.merge_key) is transaction:
            del self.merging[transaction.merge_key]

    def oldest_server(self) -> Transaction | None:
        """Return the server transaction that came first."""
        return next(iter(self.servers.values()), None)


def server_machine(method: str) -> Machine:
    """Return the machine for a peer's request (RFC 3261 sections 17.2.1 and 17.2.2)."""
    return INVITE_SERVER if method == "INVITE" else SERVER


def client_machine(method: str) -> Machine:
    """Return the machine for a request of ours (RFC 3261 sections 17.1.1 and 17.1.2)."""
    return INVITE_CLIENT if method == "INVITE" else CLIENT
