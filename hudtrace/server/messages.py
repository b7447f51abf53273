"""What is said in a session: one message of a client, and how sessions end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace

from hudtrace.chat.events import ChatEvent, ChatReply

#: How a session has ended, by the value of `hud.session.end_reason`.
HOW_IT_ENDED = {
    "finished": "is finished",
    "limit": "has reached a limit and is graded",
    "expired": "has expired: nobody had sent anything for too long",
    "failed": "has ended, since it could not go on",
    "disconnected": "has ended, since its client left before the first answer",
    "server_shutdown": "has ended, since the server is shutting down",
}


@dataclass(eq=False)
class Sent:
    """One message of a client, and what becomes of it.

    `events` gets what is streamed, and None at the end. `request` are options in
    the form of the API behind; with `model` and `max_steps` they hold for this
    message alone.
    """

    text: str | None
    model: str | None = None
    request: Mapping[str, Any] | None = None
    max_steps: int | None = None
    events: asyncio.Queue[ChatEvent | None] | None = None
    caller: trace.Span = field(default_factory=trace.get_current_span)
    reply: asyncio.Future[ChatReply] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


def short(id: str) -> str:
    """Return the first digits of an id: enough to know it, too few to use it."""
    return id[:8]
