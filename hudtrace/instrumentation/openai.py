"""Where to hook into the `openai` client: its one method that sends requests.

Every surface goes through `request` of the base clients: plain, streamed,
parsed and raw calls and the stream helpers. Tried with openai 1.109 to 3.54.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from opentelemetry import context as otel_context

from hudtrace import semconv
from hudtrace.dialects import openai_chat
from hudtrace.instrumentation.bodies import watch_body
from hudtrace.instrumentation.engine import Exchange, guarded
from hudtrace.notices import notify_once
from hudtrace.tracing.model_call import open_call

_EXCHANGE = otel_context.create_key("hudtrace-exchange")
_PROVIDER = "openai"
_CHAT = "/chat/completions"


def patch() -> Callable[[], None] | None:
    """Hook into the installed client; return how to undo it, None if that fails."""
    from openai import _base_client

    undo: list[Callable[[], None]] = []
    for name, wrap in (("SyncAPIClient", _sync), ("AsyncAPIClient", _async)):
        client = getattr(_base_client, name, None)
        original = getattr(client, "request", None)
        if original is None:
            notify_once(
                "openai-hook",
                f"this version of openai has no {name}.request; its calls are not "
                f"traced",
            )
            return None
        undo.append(_replace(client, "request", wrap(original)))
        retry = getattr(client, "_sleep_for_retry", None)
        if retry is not None:
            undo.append(_replace(client, "_sleep_for_retry", _counting(retry)))

    def undo_all() -> None:
        for step in undo:
            step()

    return undo_all


def _replace(owner: Any, name: str, wrapper: Any) -> Callable[[], None]:
    original = owner.__dict__[name]
    setattr(owner, name, wrapper)

    def undo() -> None:
        if owner.__dict__.get(name) is wrapper:
            setattr(owner, name, original)

    return undo


def _sync(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _begin(self, args, kwargs)
        if exchange is None:
            return original(self, *args, **kwargs)
        token = otel_context.attach(_inside(exchange))
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            exchange.failed(error)
            raise
        finally:
            otel_context.detach(token)
        guarded("watching an answer", lambda: _watch(result, exchange))
        return result

    return request


def _async(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _begin(self, args, kwargs)
        if exchange is None:
            return await original(self, *args, **kwargs)
        token = otel_context.attach(_inside(exchange))
        try:
            result = await original(self, *args, **kwargs)
        except BaseException as error:
            exchange.failed(error)
            raise
        finally:
            otel_context.detach(token)
        guarded("watching an answer", lambda: _watch(result, exchange))
        return result

    return request


def _counting(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def sleep_for_retry(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = otel_context.get_value(_EXCHANGE)
        if isinstance(exchange, Exchange):
            exchange.retries += 1
        return original(self, *args, **kwargs)

    return sleep_for_retry


def _begin(client: Any, args: Any, kwargs: Any) -> Exchange | None:
    """Open the call if this is a chat completion, else return None."""
    options = kwargs.get("options") or (args[1] if len(args) > 1 else None)
    body = getattr(options, "json_data", None)
    url = str(getattr(options, "url", ""))
    if not isinstance(body, dict) or not url.endswith(_CHAT):
        return None
    stream = bool(kwargs.get("stream"))
    described = guarded("describing a request", lambda: _describe(client, body, stream))
    if described is None:
        return None
    name, attributes = described
    call = open_call(name, attributes, model=attributes.get(semconv.REQUEST_MODEL))
    if call is None:
        return None
    return Exchange(
        call, openai_chat, body, stream=stream, stream_error="openai.APIError"
    )


def _describe(client: Any, body: Any, stream: bool) -> tuple[str, dict[str, Any]]:
    model = body.get("model")
    url = client._base_url
    attributes = {
        semconv.OPERATION: semconv.OP_CHAT,
        semconv.PROVIDER: _PROVIDER,
        semconv.OPENAI_API_TYPE: "chat_completions",
        semconv.SERVER_ADDRESS: url.host,
        semconv.SERVER_PORT: url.port or (443 if url.scheme == "https" else 80),
        semconv.REQUEST_STREAM: stream,
    }
    if isinstance(model, str):
        attributes[semconv.REQUEST_MODEL] = model
    return f"{semconv.OP_CHAT} {model}", attributes


def _inside(exchange: Exchange) -> Any:
    return otel_context.set_value(_EXCHANGE, exchange, exchange.call.context)


def _watch(result: Any, exchange: Exchange) -> None:
    """Finish with a parsed answer, or when the body has been read."""
    raw = getattr(result, "http_response", None)  # a raw response
    if raw is None:
        raw = getattr(result, "response", None)  # a stream
    if raw is not None and hasattr(raw, "iter_bytes"):
        watch_body(raw, exchange)
    else:
        exchange.answered(result)
