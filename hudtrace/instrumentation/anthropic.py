"""The `anthropic` client: its one route to models, and its own tracing.

Tried with anthropic 0.60 to 2.13.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry import trace

from hudtrace.dialects import anthropic_messages
from hudtrace.instrumentation import stainless
from hudtrace.instrumentation.stainless import Client, Route

ROUTES = (Route("/v1/messages", anthropic_messages),)


def patch() -> Callable[[], None] | None:
    """Hook into the installed client; return how to undo it, None if that fails."""
    from anthropic import _base_client

    return stainless.patch(
        Client(
            "anthropic",
            _base_client,
            ROUTES,
            before=_untraced_by_itself,
            stream_error="APIStatusError",
        )
    )


def _untraced_by_itself(client: Any, options: Any) -> None:
    """Keep the client from a span of its own for this request.

    It would be a second one of the same call, and the client would send our
    trace's id to the provider. A client whose user gave it a provider of
    tracers other than the global one stays as it is.
    """
    given = getattr(client, "_open_telemetry", None)
    provider = given.get("tracer_provider") if isinstance(given, dict) else None
    if provider is not None and provider is not trace.get_tracer_provider():
        return
    if getattr(options, "span_name", None) is not None:
        options.span_name = None  # a request without one is not traced
