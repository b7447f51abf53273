"""Where to hook into google-genai: the two methods that send its requests.

Everything goes through `_request` and `_async_request` of the base client:
plain and streamed calls, chats, and each call of automatic function calling,
whichever HTTP library is below. Tried with google-genai 1.40 to 3.6.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from opentelemetry import context as otel_context

from hudtrace import semconv
from hudtrace.dialects import gemini, gemini_embeddings
from hudtrace.instrumentation.chunks import Chunks
from hudtrace.instrumentation.engine import Exchange, guarded
from hudtrace.instrumentation.hooks import Hooks
from hudtrace.notices import internal_error, notify_once
from hudtrace.tracing.given_keys import note_key
from hudtrace.tracing.model_call import open_call

_ATTEMPTS = otel_context.create_key("hudtrace-google-genai-attempts")
_PATH = re.compile(r"/([^/:]+):(\w+)$")
_OPERATIONS = {
    "generateContent": (semconv.OP_CHAT, gemini),
    "streamGenerateContent": (semconv.OP_CHAT, gemini),
    "embedContent": (semconv.OP_EMBEDDINGS, gemini_embeddings),
    "batchEmbedContents": (semconv.OP_EMBEDDINGS, gemini_embeddings),
    "predict": (semconv.OP_EMBEDDINGS, gemini_embeddings),  # of Vertex AI
}
_METHODS = ("_request", "_async_request")
_SEGMENTS = ("segments", "async_segments")

#: The streams under way, by the client's own response.
_streams: MutableMapping[Any, Chunks] = WeakKeyDictionary()


def patch() -> Callable[[], None] | None:
    """Hook into the installed client; return how to undo it, None if that fails."""
    from google.genai import _api_client

    client = getattr(_api_client, "BaseApiClient", None)
    response = getattr(_api_client, "HttpResponse", None)
    there = [name in vars(client or object) for name in _METHODS]
    there += [name in vars(response or object) for name in _SEGMENTS]
    if not all(there):
        notify_once(
            "google-genai-hook",
            "this version of google-genai has not the methods that are looked for; "
            "its calls are not traced",
        )
        return None
    hooks = Hooks()
    hooks.replace(client, "_request", lambda original: _sync(original, hooks))
    hooks.replace(client, "_async_request", lambda original: _async(original, hooks))
    hooks.replace(client, "_request_once", _counted)
    hooks.replace(client, "_async_request_once", _acounted)
    hooks.replace(response, "segments", _segments)
    hooks.replace(response, "async_segments", _async_segments)
    return hooks.undo


def _sync(original: Callable[..., Any], hooks: Hooks) -> Callable[..., Any]:
    def request(self: Any, http_request: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _begin(self, http_request) if hooks.active else None
        if exchange is None:
            return original(self, http_request, *args, **kwargs)
        token = otel_context.attach(_inside(exchange))
        try:
            response = original(self, http_request, *args, **kwargs)
        except BaseException as error:
            exchange.failed(error)
            raise
        finally:
            otel_context.detach(token)
        _watch(response, exchange)
        return response

    return request


def _async(original: Callable[..., Any], hooks: Hooks) -> Callable[..., Any]:
    async def request(self: Any, http_request: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _begin(self, http_request) if hooks.active else None
        if exchange is None:
            return await original(self, http_request, *args, **kwargs)
        token = otel_context.attach(_inside(exchange))
        try:
            response = await original(self, http_request, *args, **kwargs)
        except BaseException as error:
            exchange.failed(error)
            raise
        finally:
            otel_context.detach(token)
        _watch(response, exchange)
        return response

    return request


def _counted(original: Callable[..., Any]) -> Callable[..., Any]:
    def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        _count_attempt()
        return original(self, *args, **kwargs)

    return send


def _acounted(original: Callable[..., Any]) -> Callable[..., Any]:
    # A coroutine function, because what retries looks whether it is one.
    async def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        _count_attempt()
        return await original(self, *args, **kwargs)

    return send


def _count_attempt() -> None:
    under_way = otel_context.get_value(_ATTEMPTS)
    if isinstance(under_way, _Attempts):
        under_way.exchange.retries = next(under_way.before)


class _Attempts:
    """A request under way, and how many attempts were before the next one."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.before = itertools.count()


def _segments(original: Callable[..., Any]) -> Callable[..., Any]:
    def segments(self: Any) -> Iterator[Any]:
        watched = _streams.pop(self, None)
        chunks: Iterator[Any] = original(self)
        return chunks if watched is None else watched.observe(chunks)

    return segments


def _async_segments(original: Callable[..., Any]) -> Callable[..., Any]:
    def async_segments(self: Any) -> AsyncIterator[Any]:
        watched = _streams.pop(self, None)
        chunks: AsyncIterator[Any] = original(self)
        return chunks if watched is None else watched.aobserve(chunks)

    return async_segments


def _begin(client: Any, http_request: Any) -> Exchange | None:
    """Open the call if a request is one to a model, else return None."""
    opened: Exchange | None = guarded(
        "opening a call", lambda: _open(client, http_request)
    )
    return opened


def _open(client: Any, http_request: Any) -> Exchange | None:
    url = urlsplit(str(http_request.url))
    found = _PATH.search(url.path)
    known = _OPERATIONS.get(found[2]) if found is not None else None
    body = http_request.data
    if found is None or known is None or not isinstance(body, dict):
        return None
    model, method = found.groups()
    if method == "predict" and "embedding" not in model:
        return None  # of images and videos
    note_key(getattr(client, "api_key", None))
    operation, dialect = known
    stream = method.startswith("stream")
    vertex = bool(getattr(client, "vertexai", False))
    attributes = {
        semconv.OPERATION: operation,
        semconv.PROVIDER: "gcp.vertex_ai" if vertex else "gcp.gemini",
        semconv.SERVER_ADDRESS: url.hostname or "",
        semconv.SERVER_PORT: url.port or (80 if url.scheme == "http" else 443),
        semconv.REQUEST_MODEL: model,
        semconv.REQUEST_STREAM: stream,
    }
    call = open_call(f"{operation} {model}", attributes, model=model)
    if call is None:
        return None
    return Exchange(
        call, dialect, body, stream=stream, stream_error="google.genai.errors.APIError"
    )


def _inside(exchange: Exchange) -> Any:
    return otel_context.set_value(_ATTEMPTS, _Attempts(exchange), exchange.call.context)


def _watch(response: Any, exchange: Exchange) -> None:
    """Finish with an answer that is here, or when its chunks have been read."""
    try:
        arrived = response.response_stream
        if isinstance(arrived, list):
            exchange.read("".join(map(str, arrived)).encode())
        else:
            _streams[response] = Chunks(exchange, gemini.StreamFold(), response)
    except Exception as fault:
        internal_error("watching an answer", fault)
        exchange.read(b"", incomplete="error")
