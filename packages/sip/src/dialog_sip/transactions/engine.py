"""Runs transactions (RFC 3261 section 17) by their tables: inputs, actions, timers, and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dialog_sip.errors import LocalProtocolError
from dialog_sip.message import Message, Response
from dialog_sip.transactions import matching
from dialog_sip.transactions.events import (
    AckTimeout,
    Event,
    ServerTimeout,
    Terminated,
    Timeout,
    Transmit,
    TransportFailed,
)
from dialog_sip.transactions.tables import Action, Input, State
from dialog_sip.transactions.timers import TimerQueue, Timers
from dialog_sip.transactions.transaction import Transaction, TransactionStore, client_machine


class Delivery(Protocol):
    """Gives a message of a transaction to the TU (RFC 3261 section 17)."""

    def __call__(self, transaction: Transaction, message: Message, now: float) -> None:
        """Deliver."""


class Engine:
    """The interpreter of ``tables`` (RFC 3261 section 17)."""

    def __init__(self, timers: Timers, store: TransactionStore, deliver: Delivery) -> None:
        self.timers = timers
        self.queue = TimerQueue(store.by_id)
        self.transmits: list[Transmit] = []
        self.events: list[Event] = []
        self._store = store
        self._deliver = deliver

    def start(self, transaction: Transaction, now: float) -> None:
        """Begin a transaction: a request of ours is sent, a peer's goes to the TU."""
        self._store.add(transaction)
        self._run(transaction, transaction.machine.start[1], transaction.request, now)

    def step(self, transaction: Transaction, what: Input, now: float, message: Message | None = None) -> None:
        """Apply one input. Raises :class:`LocalProtocolError` where the TU may not ask for this now."""
        cell = transaction.machine.cells.get((transaction.state, what))
        if cell is None:
            raise LocalProtocolError(
                f"{transaction.request.method} transaction in {transaction.state.name} cannot take {what.name}"
            )
        transaction.state = cell[0]
        self._run(transaction, cell[1], message, now)

    def fire_due(self, now: float) -> None:
        """Run every timer that is due."""
        while (transaction := self.queue.pop_due(now)) is not None:
            if not self._fire_deadline(transaction, now):
                if transaction.retransmit_at is not None and transaction.retransmit_at <= now:
                    self.step(transaction, Input.RETRANSMIT, now)
                self.queue.schedule(transaction)

    def end(self, transaction: Transaction) -> None:
        """Forget a transaction."""
        transaction.state = State.TERMINATED
        self._store.discard(transaction)
        if not transaction.is_cancel:
            self.events.append(Terminated(transaction.id))

    def _run(self, transaction: Transaction, actions: tuple[Action, ...], message: Message | None, now: float) -> None:
        for action in actions:
            _DO[action](self, transaction, message, now)
        if transaction.state is State.TERMINATED:
            # An action may have ended it already.
            if transaction.id in self._store.by_id:
                self.end(transaction)
        elif not self._fire_deadline(transaction, now):
            self.queue.schedule(transaction)

    def _fire_deadline(self, transaction: Transaction, now: float) -> bool:
        if transaction.deadline_at is None or transaction.deadline_at > now:
            return False
        transaction.deadline_at = None
        self.step(transaction, Input.DEADLINE, now)
        return True

    def transmit(self, transaction: Transaction, data: bytes) -> None:
        """Queue bytes for the transaction's flow."""
        self.transmits.append(Transmit(transaction.flow, data))

    def send(self, transaction: Transaction, message: Response) -> None:
        """Send a response of ours and remember it."""
        transaction.response = message
        transaction.sent = message.encode()
        self.transmit(transaction, transaction.sent)

    def arm_retransmission(self, transaction: Transaction, interval: float | None, now: float) -> None:
        """Set the retransmission timer, or leave it off."""
        transaction.interval = interval or 0.0
        transaction.retransmit_at = None if interval is None else now + interval

    def repeat_ack(self, transaction: Transaction, response: Response) -> None:
        """Send our ACK for a repeated 2xx again, once the TU has given one."""
        ack = (transaction.acks or {}).get(response.to.tag or "")
        if ack:
            self.transmit(transaction, ack)

    def pass_on(self, transaction: Transaction, message: Message, now: float) -> None:
        """Give a message to the TU."""
        self._deliver(transaction, message, now)

    def start_cancel(self, transaction: Transaction, now: float) -> None:
        """Send the CANCEL of an INVITE."""
        cancel = matching.cancel_for(transaction.request)
        branch = transaction.key[0]
        name, key = f"{transaction.id};cancel", matching.client_key(branch, "CANCEL")
        started = Transaction(name, key, cancel, transaction.flow, client_machine("CANCEL"))
        started.sent = cancel.encode()
        self.start(started, now)

    def accept(self, transaction: Transaction) -> None:
        """Make the transaction findable by the ACK of its 2xx."""
        side = "client" if transaction.is_client else "server"
        self._store.accept(transaction, matching.ack_key(transaction.request, side))


Doer = Callable[[Engine, Transaction, Message | None, float], None]
"""Does one action."""


def _send(engine: Engine, transaction: Transaction, message: Message | None, _now: float) -> None:
    if isinstance(message, Response):
        engine.send(transaction, message)


def _send_trying(engine: Engine, transaction: Transaction, _message: Message | None, _now: float) -> None:
    engine.send(transaction, transaction.request.respond(100))


def _resend(engine: Engine, transaction: Transaction, _message: Message | None, _now: float) -> None:
    if transaction.sent:
        engine.transmit(transaction, transaction.sent)


def _send_ack(engine: Engine, transaction: Transaction, message: Message | None, _now: float) -> None:
    if isinstance(message, Response):
        engine.transmit(transaction, matching.ack_for_failure(transaction.request, message).encode())


def _repeat_ack(engine: Engine, transaction: Transaction, message: Message | None, _now: float) -> None:
    if isinstance(message, Response):
        engine.repeat_ack(transaction, message)


def _send_cancel(engine: Engine, transaction: Transaction, _message: Message | None, now: float) -> None:
    engine.start_cancel(transaction, now)


def _pass(engine: Engine, transaction: Transaction, message: Message | None, now: float) -> None:
    if message is not None:
        engine.pass_on(transaction, message, now)


def _give_up(engine: Engine, transaction: Transaction, _message: Message | None, now: float) -> None:
    engine.events.append(ServerTimeout(transaction.id, transaction.request, transaction.flow))
    code = 503 if transaction.request.method == "INVITE" else 500
    response = transaction.request.respond(code, headers=[("Retry-After", 5)] if code == 503 else ())
    engine.step(transaction, Input.TU_FAILURE, now, response)


def _tell(event: type[Timeout | TransportFailed | AckTimeout]) -> Doer:
    def tell(engine: Engine, transaction: Transaction, _message: Message | None, _now: float) -> None:
        if not transaction.is_cancel:
            engine.events.append(event(transaction.id, transaction.request, transaction.flow))

    return tell


def _retransmissions_off(engine: Engine, transaction: Transaction, _message: Message | None, now: float) -> None:
    engine.arm_retransmission(transaction, None, now)


def _retransmit(action: Action) -> Doer:
    def arm(engine: Engine, transaction: Transaction, _message: Message | None, now: float) -> None:
        interval = engine.timers.first_interval(action, reliable=transaction.flow.reliable)
        engine.arm_retransmission(transaction, interval, now)

    return arm


def _again(action: Action) -> Doer:
    def arm(engine: Engine, transaction: Transaction, _message: Message | None, now: float) -> None:
        engine.arm_retransmission(transaction, engine.timers.next_interval(transaction, action), now)

    return arm


def _deadline(action: Action) -> Doer:
    def arm(engine: Engine, transaction: Transaction, _message: Message | None, now: float) -> None:
        invite = transaction.request.method == "INVITE"
        lasting = engine.timers.deadline(action, reliable=transaction.flow.reliable, invite=invite)
        transaction.deadline_at = now + lasting
        if action in {Action.ARM_L, Action.ARM_M}:
            engine.accept(transaction)

    return arm


_DO: dict[Action, Doer] = {
    Action.SEND: _send,
    Action.SEND_TRYING: _send_trying,
    Action.RESEND: _resend,
    Action.SEND_ACK: _send_ack,
    Action.REPEAT_ACK: _repeat_ack,
    Action.SEND_CANCEL: _send_cancel,
    Action.PASS: _pass,
    Action.GIVE_UP: _give_up,
    Action.TIMEOUT: _tell(Timeout),
    Action.TRANSPORT_FAILED: _tell(TransportFailed),
    Action.ACK_TIMEOUT: _tell(AckTimeout),
    Action.RETRANSMISSIONS_OFF: _retransmissions_off,
    **{
        action: _retransmit(action)
        for action in (Action.ARM_A, Action.ARM_E, Action.ARM_G, Action.ARM_2XX, Action.ARM_TRYING)
    },
    **{action: _again(action) for action in (Action.AGAIN, Action.AGAIN_T2)},
    **{
        action: _deadline(action)
        for action in (
            *(Action.ARM_B, Action.ARM_C, Action.ARM_D, Action.ARM_F, Action.ARM_H, Action.ARM_I),
            *(Action.ARM_J, Action.ARM_K, Action.ARM_L, Action.ARM_M, Action.ARM_U),
        )
    },
}
