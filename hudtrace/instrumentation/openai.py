"""The `openai` client: which of its requests are model calls.

Tried with openai 1.109 to 3.54.
"""

from __future__ import annotations

from collections.abc import Callable

from hudtrace import semconv
from hudtrace.dialects import openai_chat
from hudtrace.instrumentation import stainless
from hudtrace.instrumentation.stainless import Client, Route

ROUTES = (
    Route(
        "/chat/completions",
        openai_chat,
        attributes={semconv.OPENAI_API_TYPE: "chat_completions"},
    ),
)


def patch() -> Callable[[], None] | None:
    """Hook into the installed client; return how to undo it, None if that fails."""
    from openai import _base_client

    return stainless.patch(Client("openai", _base_client, ROUTES))
