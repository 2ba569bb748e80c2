"""The table of a call: phase x kind of input -> next phase, what is done.

Theory of operation
-------------------
A call joins two legs, a SIP dialog with the PBX and a WebRTC session with the client, and is one machine over both: a
phase says what *both* are doing, so that there is no pair of machines to keep in step. ``model/phases.py`` says what
each phase waits for.

Inputs are facts: a command, a message, the result of a media operation, a deadline. Nothing here waits. Where media has
to compute a description, the call asks for it and goes to a phase that waits for the result; a hang-up that comes first
just takes another row, and the late result meets ``nothing``. Every phase that waits has a timer, every input has a
cell in every row, and no cell has a condition: whether a description came along, or a 2xx is from another branch, is
part of the kind.

Three bands, from top to bottom, never upwards::

    set-up    NEW > OFFERING > INVITING > EARLY, ALERTING > CONNECTING          (outgoing)
              NEW > PREPARING > PRESENTED > RINGING > ACCEPTING > CONFIRMING    (incoming)
    talking   TALKING, and one exchange at a time beside it, which returns there
    ending    CANCELLING, UNCONFIRMED, CLOSING > FINISHED

The dialog server hears ``ended`` on the way into the ending band, the directory forgets the call on the way into
FINISHED, and media is closed with ``ended``. So each happens exactly once. Entering TALKING replays what was postponed.

To follow a call, read ``outgoing.start``, ``invite``, ``remote_ringing``, ``answered``, ``talk``, then
``ending.remote_hang_up``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, NamedTuple

from dialog_bridge.model import adopted, ending, incoming, outgoing, settled
from dialog_bridge.model.actions import Action
from dialog_bridge.model.call import Call
from dialog_bridge.model.inputs import Kind
from dialog_bridge.model.phases import ENDING, LIVE, SETTLED, SETUP_IN, SETUP_OUT, Phase

K = Kind
P = Phase

Function = Callable[[Call, Any], list[Action]]
"""What a cell does. Which input it gets follows from the kind."""


class Step(NamedTuple):
    """One cell. ``to`` None: the phase stays, and its timer goes on."""

    to: P | None
    do: Function


Row = dict[K, Step]

WISHES = (K.HOLD, K.RESUME, K.TRANSFER, K.WEB_OFFER, K.REOFFER)
"""What the client may want of a call in which both talk."""
OFFERS = (K.REINVITE, K.REINVITE_EMPTY, K.UPDATE_OFFER)
NOTIFIES = (K.NOTIFY_TRYING, K.NOTIFY_DONE, K.NOTIFY_FAILED)
ACKS = (K.ACK, K.ACK_ANSWER)
HANG_UPS = (K.HANGUP, K.REJECT)
IN_DIALOG = (*OFFERS, *NOTIFIES, K.INFO_DTMF)
"""Requests that need an answer in every phase."""
LOST_OR_STUCK = (K.MEDIA_LOST, K.MEDIA_REFUSED)
SUCCESSORS = (K.REGISTRAR_MOVED, K.REGISTRAR_ANEW)


def _stay(do: Function, *kinds: K) -> Row:
    return dict.fromkeys(kinds, Step(None, do))


def _go(to: P, do: Function, *kinds: K) -> Row:
    return dict.fromkeys(kinds, Step(to, do))


class Rule(NamedTuple):
    """The same cells for some phases."""

    phases: tuple[P, ...]
    cells: tuple[Row, ...]


def rule(phases: P | Iterable[P], *cells: Row) -> Rule:
    """Say what inputs do in a phase, or in several."""
    return Rule((phases,) if isinstance(phases, P) else tuple(phases), cells)


# The table in wide strokes first, then what differs; a later line wins.

# Whatever is not said below needs nothing done: a response or a result that came too late, an ACK nobody waits for,
# a command that makes no sense now (`ring` for an outgoing call). Requests of the PBX are never among these.
_WHATEVER: tuple[Rule, ...] = (
    rule(P, _stay(ending.nothing, *K)),
    rule(P, _stay(ending.over, *IN_DIALOG), _stay(ending.accept_bye, K.BYE)),
    rule(P, _stay(outgoing.fork_answered, K.FORKED), _stay(settled.acknowledge, K.REINVITE_OK)),
)

# Nothing yet.
_NEW: tuple[Rule, ...] = (
    rule(
        P.NEW,
        _go(P.OFFERING, outgoing.start, K.START),
        _go(P.PREPARING, incoming.invited, K.INVITE),
    ),
    # Another bridge died with the call: what is left of it is cleared away (docs/takeover.md).
    rule(
        P.NEW,
        _go(P.CLOSING, adopted.hang_up, K.ADOPT_CONFIRMED),
        _go(P.CANCELLING, adopted.cancel, K.ADOPT_OUTGOING),
        _go(P.FINISHED, adopted.decline, K.ADOPT_INCOMING),
        _go(P.CLOSING, ending.bye, K.ADOPT_ENDED),
        _go(P.CANCELLING, adopted.cancel_again, K.ADOPT_CANCELLED),
    ),
)

# In any phase before the end.
_LIVE: tuple[Rule, ...] = (
    rule(
        LIVE,
        _stay(settled.add_ice, K.ADD_ICE),
        _stay(settled.tell_candidate, K.CANDIDATE_FOUND),
        _stay(settled.send_dtmf, K.SEND_DTMF),
        _stay(settled.digit, K.DIGIT_RECEIVED),
        _stay(settled.info_dtmf, K.INFO_DTMF),
        _stay(settled.postpone, *WISHES, K.REFRESH),
        _stay(settled.refuse_glare, *OFFERS),
        _stay(settled.refuse_notify, *NOTIFIES),
        _go(P.FINISHED, ending.let_go, K.FENCED),
    ),
)

# Outgoing.
_OUTGOING: tuple[Rule, ...] = (
    rule(
        P.OFFERING,
        _go(P.INVITING, outgoing.invite, K.OFFER_READY),
        _go(P.FINISHED, ending.give_up, *HANG_UPS),
        _go(P.FINISHED, ending.no_media, K.MEDIA_REFUSED),
        _go(P.FINISHED, ending.media_lost, K.MEDIA_LOST),
        _go(P.FINISHED, ending.media_stuck, K.DEADLINE),
    ),
    rule(
        SETUP_OUT,
        _go(P.ALERTING, outgoing.remote_ringing, K.REMOTE_RINGING),
        _go(P.EARLY, outgoing.early_media, K.EARLY_MEDIA),
        _stay(outgoing.progress, K.EARLY_ANSWER_READY),
        _go(P.CONNECTING, outgoing.answered, K.ANSWERED),
        _go(P.FINISHED, outgoing.refused, K.REFUSED),
        _go(P.CANCELLING, outgoing.cancel, *HANG_UPS),
        _go(P.CANCELLING, outgoing.cancel_unanswered, K.DEADLINE),
        _go(P.CANCELLING, outgoing.cancel_broken, *LOST_OR_STUCK),
        _go(P.CANCELLING, outgoing.cancel_bye, K.BYE),
        _go(P.CANCELLING, outgoing.cancel_quietly, K.FENCED),
        _go(P.FINISHED, ending.lost, K.REGISTRAR_LOST, K.REGISTRAR_MOVED),
        _stay(outgoing.invite_again, K.REGISTRAR_ANEW),
    ),
    rule(P.INVITING, _stay(outgoing.invite_again, K.REGISTRAR_MOVED)),
    rule(P.ALERTING, _stay(outgoing.early_media, K.REMOTE_RINGING)),
)

# Incoming.
_INCOMING: tuple[Rule, ...] = (
    rule(
        SETUP_IN,
        _go(P.FINISHED, incoming.reject, K.REJECT),
        _go(P.FINISHED, incoming.hang_up_unanswered, K.HANGUP),
        _go(P.FINISHED, incoming.cancelled, K.CANCEL),
        _go(P.FINISHED, incoming.bye_early, K.BYE),
        _go(P.FINISHED, incoming.unprepared, K.MEDIA_REFUSED),
        _go(P.FINISHED, incoming.broken, K.MEDIA_LOST),
        _go(P.FINISHED, incoming.unheard, K.REGISTRAR_LOST, K.REGISTRAR_AWAY, *SUCCESSORS),
        _go(P.FINISHED, incoming.unacknowledged, K.ACK_TIMEOUT),
    ),
    rule((P.PREPARING, P.ACCEPTING), _go(P.FINISHED, incoming.stuck, K.DEADLINE)),
    rule((P.PRESENTED, P.RINGING), _go(P.FINISHED, incoming.unanswered, K.DEADLINE)),
    rule(P.PREPARING, _go(P.PRESENTED, incoming.present, K.WEB_OFFER_READY)),
    rule(P.PRESENTED, _go(P.RINGING, incoming.ring, K.RING)),
    rule((P.PRESENTED, P.RINGING), _go(P.ACCEPTING, incoming.accept, K.ACCEPT)),
    rule(P.ACCEPTING, _go(P.CONFIRMING, incoming.answer, K.SIP_ANSWER_READY)),
    rule(
        P.CONFIRMING,
        _go(P.TALKING, incoming.confirmed, K.ACK),
        _go(P.CONNECTING, incoming.confirmed_with_answer, K.ACK_ANSWER),
        _go(P.UNCONFIRMED, ending.hang_up_unconfirmed, *HANG_UPS),
        _go(P.UNCONFIRMED, ending.break_off_unconfirmed, K.MEDIA_LOST),
        _go(P.CLOSING, ending.never_confirmed, K.ACK_TIMEOUT, K.DEADLINE),
        _go(P.FINISHED, ending.remote_hang_up, K.BYE),
    ),
)

# The SIP dialog stands.
_SETTLED: tuple[Rule, ...] = (
    rule(
        (P.CONNECTING, *SETTLED),
        _go(P.CLOSING, ending.hang_up, *HANG_UPS),
        _go(P.FINISHED, ending.remote_hang_up, K.BYE),
        _go(P.CLOSING, ending.break_off, K.MEDIA_LOST),
        _go(P.CLOSING, ending.dialog_gone, K.DIALOG_GONE),
        _go(P.CLOSING, ending.expired, K.SESSION_EXPIRED),
        _go(P.CLOSING, ending.never_confirmed, K.ACK_TIMEOUT),
        _go(P.CLOSING, ending.time_out, K.DEADLINE),
        _stay(settled.move, *SUCCESSORS),
    ),
    rule(
        P.CONNECTING,
        _go(P.TALKING, outgoing.talk, K.ANSWER_READY),
        _stay(outgoing.progress, K.EARLY_ANSWER_READY),
        _go(P.CLOSING, ending.break_off, K.MEDIA_REFUSED),
    ),
    rule(
        (P.TALKING, P.GLARE),
        _go(P.REANSWERING, settled.take_reoffer, K.REINVITE),
        _go(P.REANSWERING, settled.make_late_offer, K.REINVITE_EMPTY),
        _go(P.UPDATING, settled.take_reoffer, K.UPDATE_OFFER),
    ),
    rule(
        P.TALKING,
        _go(P.REOFFERING, settled.hold, K.HOLD),
        _go(P.REOFFERING, settled.resume, K.RESUME),
        _go(P.REOFFERING, settled.reoffer, K.REOFFER, K.REFRESH, K.MEDIA_SILENT, *SUCCESSORS),
        _go(P.REOFFERING, settled.take_web_offer, K.WEB_OFFER),
        _go(P.TRANSFERRING, settled.transfer, K.TRANSFER),
        _go(P.CLOSING, ending.longest, K.DEADLINE),
    ),
)

# Our offer.
_OUR_OFFER: tuple[Rule, ...] = (
    rule(
        P.REOFFERING,
        _go(P.REINVITING, settled.reinvite, K.OFFER_READY),
        _go(P.TALKING, settled.reinvite_refused, K.MEDIA_REFUSED),
    ),
    rule(
        P.REINVITING,
        _go(P.SETTLING, settled.reinvite_accepted, K.REINVITE_OK),
        _go(P.GLARE, settled.offer_again, K.REINVITE_GLARE),
        _go(P.TALKING, settled.reinvite_refused, K.REINVITE_REFUSED),
        _go(P.TALKING, settled.move, *SUCCESSORS),
    ),
    rule(P.GLARE, _go(P.TALKING, ending.nothing, K.DEADLINE)),
    rule(
        P.SETTLING,
        _go(P.TALKING, settled.settled, K.ANSWER_READY),
        _go(P.CLOSING, ending.break_off, K.MEDIA_REFUSED),
    ),
)

# The PBX's offer.
_THEIR_OFFER: tuple[Rule, ...] = (
    rule(P.REANSWERING, _go(P.RECONFIRMING, settled.reanswer, K.REANSWER_READY)),
    rule(P.UPDATING, _go(P.TALKING, settled.reanswer, K.REANSWER_READY)),
    rule(
        (P.REANSWERING, P.UPDATING),
        _go(P.TALKING, settled.reoffer_refused, K.MEDIA_REFUSED),
        _go(P.TALKING, settled.move, *SUCCESSORS),
    ),
    rule(
        P.RECONFIRMING,
        _go(P.TALKING, ending.nothing, K.ACK),
        _go(P.TALKING, settled.move, *SUCCESSORS),
        _go(P.SETTLING, settled.take_late_answer, K.ACK_ANSWER),
    ),
)

# Transfer.
_TRANSFER: tuple[Rule, ...] = (
    rule(
        P.TRANSFERRING,
        _stay(settled.accept_notify, K.NOTIFY_TRYING),
        _go(P.TALKING, settled.accept_notify, K.NOTIFY_FAILED),
        _go(P.TALKING, ending.nothing, K.REFER_REFUSED, K.DEADLINE),
        _go(P.CLOSING, ending.transfer_done, K.NOTIFY_DONE),
        _go(P.FINISHED, ending.transferred, K.BYE),
    ),
)

# The dialog server has heard `ended`; a last NOTIFY of a transfer is still welcome.
_ENDED: tuple[Rule, ...] = (
    rule(ENDING, _stay(settled.accept_notify, *NOTIFIES), _go(P.FINISHED, ending.let_go, K.FENCED)),
    rule(
        P.CANCELLING,
        _go(P.FINISHED, ending.nothing, K.REFUSED, K.DEADLINE, K.REGISTRAR_LOST, K.REGISTRAR_MOVED),
        _go(P.CLOSING, ending.answered_too_late, K.ANSWERED),
        _stay(outgoing.cancel_again, K.REGISTRAR_ANEW),
    ),
    rule(
        P.UNCONFIRMED,
        _go(P.CLOSING, ending.bye, *ACKS, K.ACK_TIMEOUT, K.DEADLINE, *SUCCESSORS),
        _go(P.FINISHED, ending.accept_bye, K.BYE),
    ),
    rule(
        P.CLOSING,
        _go(P.FINISHED, ending.nothing, K.BYE_DONE, K.DEADLINE),
        _go(P.FINISHED, ending.accept_bye, K.BYE),
        _stay(ending.bye, *SUCCESSORS),
    ),
)


def _rows(*bands: tuple[Rule, ...]) -> dict[P, Row]:
    table: dict[P, Row] = {phase: {} for phase in P}
    for phases, cells in chain.from_iterable(bands):
        for phase in phases:
            for row in cells:
                table[phase].update(row)
    return table


TABLE: dict[P, Row] = _rows(
    _WHATEVER, _NEW, _LIVE, _OUTGOING, _INCOMING, _SETTLED, _OUR_OFFER, _THEIR_OFFER, _TRANSFER, _ENDED
)
"""Every cell of every phase."""
