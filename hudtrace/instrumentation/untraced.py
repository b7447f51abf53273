"""Model calls of clients that are not instrumented, traced by who makes them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from opentelemetry import context as otel_context

from hudtrace import semconv
from hudtrace.instrumentation.engine import Exchange
from hudtrace.tracing.model_call import COVERED, open_call
from hudtrace.tracing.twins import traced


def traces(package: str) -> bool:
    """Say whether the calls of a client's package are traced by themselves."""
    return package in traced


@contextlib.contextmanager
def observe(
    provider: str, dialect: Any, body: Mapping[str, Any], *, fold: Any = None
) -> Iterator[Exchange | None]:
    """Make what is done inside one model call; the caller finishes the exchange.

    *fold* is the `StreamFold` of a streamed answer. An error that comes out
    finishes the exchange too. Calls of instrumented clients in here are part of
    this one and get no span of their own. Yields None where nothing is traced.
    """
    model = body.get("model")
    attributes = {
        semconv.OPERATION: semconv.OP_CHAT,
        semconv.PROVIDER: provider,
        semconv.REQUEST_STREAM: fold is not None,
        semconv.REQUEST_MODEL: str(model),
    }
    call = open_call(f"{semconv.OP_CHAT} {model}", attributes, model=str(model))
    if call is None:
        yield None
        return
    exchange = Exchange(
        call, dialect, body, stream=fold is not None, stream_error="Error"
    )
    token = otel_context.attach(otel_context.set_value(COVERED, True, call.context))
    try:
        yield exchange
    except BaseException as error:
        if fold is None:
            exchange.failed(error)
        else:
            cancelled = isinstance(error, asyncio.CancelledError)
            how = "cancelled" if cancelled else "error"
            exchange.folded(fold, error=error, incomplete=how)
        raise
    finally:
        otel_context.detach(token)
