"""A PBX that is only a registrar, for scale and for faults: 100,000 users, and every odd answer a PBX may give.

Theory of operation. One process, one UDP socket and one TCP listener on the same port. A REGISTER is taken apart by
byte searches (``wire``), judged by :class:`~dialog_sandbox.simulator.registrar.Registrar` (time is an argument, no
I/O) and answered from a template, so that the simulator costs a fraction of what it measures; ``load`` says whether
that held. Faults (``faults``) are switched while it runs, through a small HTTP page (``control``) that also shows what
was counted (``counts``).

``async with Simulator() as pbx`` (``process``) runs one as a child process.
"""

from __future__ import annotations

from dialog_sandbox.simulator.faults import Challenge, Faults
from dialog_sandbox.simulator.process import Simulator

__all__ = ["Challenge", "Faults", "Simulator"]
