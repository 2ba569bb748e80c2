"""Calls that a phone of the PBX makes on request, and what is known of them."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from dataclasses import dataclass

from dialog_sandbox.media import tone
from dialog_sandbox.media.g711 import SAMPLE_RATE
from dialog_sandbox.pbx.phones import TONE
from dialog_sandbox.phone.call import CallEndedError
from dialog_sandbox.phone.outgoing import OutgoingCall
from dialog_sandbox.phone.phone import Phone

MAX_REPORTS = 200
"""Calls that are remembered; of more the oldest are forgotten."""
RINGS_FOR = 60.0
"""Seconds until an unanswered call is given up."""
LASTS = 3600.0
"""Seconds until a call that nobody ends is ended."""


@dataclass(frozen=True, slots=True)
class Order:
    """A call to make."""

    user: str
    """Of the phone that calls."""
    to: str
    hertz: float = TONE
    """Tone to play."""
    seconds: float = LASTS
    """Hang up so long after the answer."""


class Dialer:
    """Makes calls from phones, each as a task of its own that ends with the call."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, tuple[Order, OutgoingCall]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def dial(self, phone: Phone, order: Order) -> str:
        """Call, and return the name under which :meth:`report` knows it. Raises :class:`FlowError`."""
        call = await phone.call(order.to)
        call.audio.play(order.hertz)
        name = secrets.token_hex(8)
        self._made[name] = (order, call)
        while len(self._made) > MAX_REPORTS:
            self._made.popitem(last=False)
        task = asyncio.get_running_loop().create_task(_see_through(call, order.seconds), name=f"dialed-{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return name

    def report(self, name: str) -> dict[str, object] | None:
        """Return what is known of a call, as JSON; None for an unknown name."""
        made = self._made.get(name)
        return None if made is None else _report(name, *made)

    def reports(self) -> list[dict[str, object]]:
        """Return the reports of all calls that are remembered, the newest last."""
        return [_report(name, *made) for name, made in self._made.items()]

    async def hangup(self, name: str) -> bool:
        """End a call; False for an unknown name."""
        made = self._made.get(name)
        if made is not None:
            await made[1].hangup()
        return made is not None

    async def close(self) -> None:
        """End all tasks; the phones end the calls."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _see_through(call: OutgoingCall, seconds: float) -> None:
    try:
        await call.talking(within=RINGS_FOR)
        await call.ended(within=min(seconds, LASTS))
    except CallEndedError:
        return
    except TimeoutError:
        await call.hangup()


def _report(name: str, order: Order, call: OutgoingCall) -> dict[str, object]:
    heard = call.audio.heard()[-SAMPLE_RATE // 2 :]
    return {
        "id": name,
        "from": order.user,
        "to": order.to,
        "state": call.state.name.lower(),
        "code": call.code,
        "sent_hz": order.hertz,
        "heard_hz": tone.loudest_frequency(heard),
        "heard_dbfs": round(tone.level(heard), 1),
        "packets_sent": call.audio.packets_sent,
        "packets_received": call.audio.packets_received,
        "digits": "".join(digit.digit for digit in call.audio.digits),
        "held": call.held,
    }
