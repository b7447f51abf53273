"""The `openai` client: which of its requests are model calls.

Tried with openai 1.109 to 3.54.
"""

from __future__ import annotations

from collections.abc import Callable

from hudtrace import semconv
from hudtrace.dialects import (
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_responses,
)
from hudtrace.dialects.openai_responses import fetched
from hudtrace.instrumentation import stainless
from hudtrace.instrumentation.stainless import Client, Route

_RESPONSES = {semconv.OPENAI_API_TYPE: "responses"}
ROUTES = (
    Route(
        "/chat/completions",
        openai_chat,
        attributes={semconv.OPENAI_API_TYPE: "chat_completions"},
    ),
    Route("/responses", openai_responses, attributes=_RESPONSES),
    Route("/responses/compact", openai_responses, semconv.OP_COMPACT, _RESPONSES),
    Route(
        "/responses/([^/]+)",
        fetched,
        semconv.OP_FETCH_RESPONSE,
        _RESPONSES,
        method="GET",
        subject=semconv.RESPONSE_ID,
    ),
    Route("/embeddings", openai_embeddings, semconv.OP_EMBEDDINGS),
    Route("/completions", openai_completions, semconv.OP_TEXT_COMPLETION),
)


def patch() -> Callable[[], None] | None:
    """Hook into the installed client; return how to undo it, None if that fails."""
    from openai import _base_client

    return stainless.patch(Client("openai", _base_client, ROUTES))
