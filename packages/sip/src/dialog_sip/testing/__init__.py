"""Doubles for users of the library: a clock that is moved by hand, a wire without a network, scripted peers.

Nothing here sleeps or opens a socket, so a test of a call is a list of steps::

    clock = ManualClock()
    wire = Wire(clock)
    alice = UserAgent("alice", wire, clock)
    bob = ScriptedPeer("bob", wire)

    call = alice.call("bob", b"v=0...")
    invite = bob.expect("INVITE")
    bob.reply(invite, 180)
    bob.reply(invite, 200, sdp=b"v=0...")
    bob.expect("ACK")
    clock.advance(60)
    assert wire.ladder() == ["alice INVITE bob", "bob 180 alice", "bob 200 alice", "alice ACK bob"]

:class:`ScriptedPeer` sends exactly what it is told to, wrong or right, and has no machines of its own.
:class:`UserAgent` is a whole one: transactions, digest and calls of this library, on the wire.
"""

from dialog_sip.testing.agent import UserAgent
from dialog_sip.testing.call import Call
from dialog_sip.testing.clock import ManualClock, TimeLimitError
from dialog_sip.testing.peer import ScriptedPeer, UnexpectedMessageError
from dialog_sip.testing.wire import MemoryFlow, Packet, Wire

__all__ = [
    "Call",
    "ManualClock",
    "MemoryFlow",
    "Packet",
    "ScriptedPeer",
    "TimeLimitError",
    "UnexpectedMessageError",
    "UserAgent",
    "Wire",
]
