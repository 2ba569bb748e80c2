"""The pages that are open. Each has a bounded queue; one that does not keep up is told to start anew."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from dialog_console.model.board import Message

MOST_WAITING = 2000
"""Messages that wait for one page before it is dropped: a browser that sleeps must not fill our memory."""


@dataclass(eq=False)
class Page:
    """One open page; ``user_id`` once it is somebody's phone."""

    user_id: int | None = None
    outgoing: asyncio.Queue[Message | None] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))
    """None ends the page."""
    is_lost: bool = False

    def tell(self, message: Message) -> None:
        """Queue ``message``; where the queue is full the page is lost, and finds a snapshot when it comes back."""
        if self.is_lost:
            return
        if self.outgoing.full():
            self.is_lost = True
            while not self.outgoing.empty():
                self.outgoing.get_nowait()
            self.outgoing.put_nowait(None)
            return
        self.outgoing.put_nowait(message)


class Pages:
    """All open pages."""

    def __init__(self) -> None:
        self._pages: set[Page] = set()

    def __len__(self) -> int:
        return len(self._pages)

    def open(self, snapshot: Message) -> Page:
        """Add a page and give it the snapshot first."""
        page = Page()
        page.tell(snapshot)
        self._pages.add(page)
        return page

    def close(self, page: Page) -> None:
        """Forget a page."""
        self._pages.discard(page)

    def tell_all(self, messages: Iterable[Message]) -> None:
        """Send ``messages`` to every page."""
        for message in messages:
            for page in self._pages:
                page.tell(message)

    def tell_user(self, user_id: int, message: Message) -> None:
        """Send ``message`` to the phones of ``user_id``."""
        for page in self.of_user(user_id):
            page.tell(message)

    def of_user(self, user_id: int | None) -> list[Page]:
        """Return the phones of ``user_id``."""
        return [page for page in self._pages if user_id is not None and page.user_id == user_id]
