"""Where to hook into google.generativeai, the library before google-genai.

Its models and chats call `generate_content` and `stream_generate_content` of
the generated service client, sync or async, over REST or gRPC. Tried with
google-generativeai 0.8.6, the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import context as otel_context

from hudtrace import semconv
from hudtrace.dialects import gemini
from hudtrace.dialects.gemini.wires import wire_of
from hudtrace.instrumentation.chunks import Chunks
from hudtrace.instrumentation.engine import Exchange, guarded
from hudtrace.instrumentation.hooks import Hooks
from hudtrace.notices import internal_error, notify_once
from hudtrace.tracing.model_call import open_call

_PLAIN, _STREAM = "generate_content", "stream_generate_content"


def patch() -> Callable[[], None] | None:
    """Hook into the installed client; return how to undo it, None if that fails."""
    from google.ai.generativelanguage_v1beta.services import generative_service

    sync = getattr(generative_service, "GenerativeServiceClient", object)
    async_ = getattr(generative_service, "GenerativeServiceAsyncClient", object)
    kinds = (sync, async_)
    if not all(name in vars(kind) for kind in kinds for name in (_PLAIN, _STREAM)):
        notify_once(
            "google-generativeai-hook",
            "this version of google-generativeai has not the methods that are looked "
            "for; its calls are not traced",
        )
        return None
    hooks = Hooks()
    hooks.replace(sync, _PLAIN, lambda method: _sync(method, hooks, stream=False))
    hooks.replace(sync, _STREAM, lambda method: _sync(method, hooks, stream=True))
    hooks.replace(async_, _PLAIN, lambda method: _async(method, hooks, stream=False))
    hooks.replace(async_, _STREAM, lambda method: _async(method, hooks, stream=True))
    return hooks.undo


def _sync(
    original: Callable[..., Any], hooks: Hooks, *, stream: bool
) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _begin(self, args, kwargs, stream) if hooks.active else None
        if exchange is None:
            return original(self, *args, **kwargs)
        token = otel_context.attach(exchange.call.context)
        try:
            answer = original(self, *args, **kwargs)
        except BaseException as error:
            exchange.failed(error)
            raise
        finally:
            otel_context.detach(token)
        return _watched(answer, exchange, _Stream if stream else None)

    return call


def _async(
    original: Callable[..., Any], hooks: Hooks, *, stream: bool
) -> Callable[..., Any]:
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _begin(self, args, kwargs, stream) if hooks.active else None
        if exchange is None:
            return await original(self, *args, **kwargs)
        token = otel_context.attach(exchange.call.context)
        try:
            answer = await original(self, *args, **kwargs)
        except BaseException as error:
            exchange.failed(error)
            raise
        finally:
            otel_context.detach(token)
        return _watched(answer, exchange, _AsyncStream if stream else None)

    return call


def _begin(client: Any, args: Any, kwargs: Any, stream: bool) -> Exchange | None:
    opened: Exchange | None = guarded(
        "opening a call",
        lambda: _open(client, kwargs.get("request") or (args or [kwargs])[0], stream),
    )
    return opened


def _open(client: Any, request: Any, stream: bool) -> Exchange | None:
    body = wire_of(request)
    if not isinstance(body, dict):
        return None
    model = str(body.get("model")).removeprefix("models/")
    host = str(client.transport.host)
    url = urlsplit(host if "//" in host else f"//{host}")
    attributes = {
        semconv.OPERATION: semconv.OP_CHAT,
        semconv.PROVIDER: "gcp.gemini",
        semconv.SERVER_ADDRESS: url.hostname or "",
        semconv.SERVER_PORT: url.port or (80 if url.scheme == "http" else 443),
        semconv.REQUEST_MODEL: model,
        semconv.REQUEST_STREAM: stream,
    }
    call = open_call(f"{semconv.OP_CHAT} {model}", attributes, model=model)
    if call is None:
        return None
    error = "google.api_core.exceptions.GoogleAPICallError"
    return Exchange(call, gemini, body, stream=stream, stream_error=error)


def _watched(answer: Any, exchange: Exchange, kind: Any) -> Any:
    """Finish with an answer that is here; return a stream that will, when read."""
    try:
        if kind is not None:
            return kind(answer, exchange)
        exchange.answered(wire_of(answer))
    except Exception as fault:
        internal_error("watching an answer", fault)
        exchange.read(b"", incomplete="error")
    return answer


class _Stream:
    """The stream of the client, watched; whatever else is asked of it, it does."""

    def __init__(self, stream: Any, exchange: Exchange) -> None:
        self._stream = stream
        self._iterator = iter(stream)
        self._chunks = Chunks(exchange, gemini.StreamFold(), self)

    def __iter__(self) -> _Stream:
        return self

    def __next__(self) -> Any:
        try:
            chunk = next(self._iterator)
        except StopIteration:
            self._chunks.ended()
            raise
        except BaseException as error:
            self._chunks.failed(error)
            raise
        self._chunks.take(chunk)
        return chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _AsyncStream:
    """The async stream of the client, watched."""

    def __init__(self, stream: Any, exchange: Exchange) -> None:
        self._stream = stream
        self._iterator = aiter(stream)
        self._chunks = Chunks(exchange, gemini.StreamFold(), self)

    def __aiter__(self) -> _AsyncStream:
        return self

    async def __anext__(self) -> Any:
        try:
            chunk = await anext(self._iterator)
        except StopAsyncIteration:
            self._chunks.ended()
            raise
        except BaseException as error:
            self._chunks.failed(error)
            raise
        self._chunks.take(chunk)
        return chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
