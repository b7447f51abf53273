"""Where to hook into the `openai` client: its one method that sends requests.

Every surface goes through `request` of the base clients: plain, streamed,
parsed and raw calls and the stream helpers. Tried with openai 1.109 to 3.54.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import context as otel_context

from hudtrace import semconv
from hudtrace.dialects import openai_chat
from hudtrace.instrumentation.bodies import watch_body
from hudtrace.instrumentation.engine import Exchange, guarded
from hudtrace.notices import internal_error, notify_once
from hudtrace.tracing.model_call import open_call

_EXCHANGE = otel_context.create_key("hudtrace-exchange")
_PROVIDER = "openai"
_CHAT = "/chat/completions"


def patch() -> Callable[[], None] | None:
    """Hook into the installed client; return how to undo it, None if that fails."""
    from openai import _base_client

    clients = [
        getattr(_base_client, "SyncAPIClient", None),
        getattr(_base_client, "AsyncAPIClient", None),
    ]
    if not all("request" in getattr(client, "__dict__", ()) for client in clients):
        notify_once(
            "openai-hook",
            "this version of openai has no `request` where it is looked for; its "
            "calls are not traced",
        )
        return None
    hooks = _Hooks()
    for client, wrap in zip(clients, (_sync, _async), strict=True):
        hooks.replace(client, "request", wrap)
        hooks.replace(client, "_sleep_for_retry", _noting(_note_retry))
        hooks.replace(client, "_process_response", _noting(_note_arrival))
    return hooks.undo


class _Hooks:
    """The methods of the client that are replaced; `active` until they are not."""

    def __init__(self) -> None:
        self.active = True
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    def replace(
        self, owner: Any, name: str, wrap: Callable[[Any, _Hooks], Any]
    ) -> None:
        """Put a wrapper around a method of *owner*, if it has it."""
        original = vars(owner).get(name)
        if original is not None:
            wrapper = functools.wraps(original)(wrap(original, self))
            setattr(owner, name, wrapper)
            self._replaced.append((owner, name, original, wrapper))

    def undo(self) -> None:
        """Give the methods back; one that others have wrapped since only passes on."""
        self.active = False
        for owner, name, original, wrapper in self._replaced:
            if vars(owner).get(name) is wrapper:
                setattr(owner, name, original)


def _sync(original: Callable[..., Any], hooks: _Hooks) -> Callable[..., Any]:
    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _begin(self, args, kwargs) if hooks.active else None
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
        _watch(result, exchange)
        return result

    return request


def _async(original: Callable[..., Any], hooks: _Hooks) -> Callable[..., Any]:
    async def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _begin(self, args, kwargs) if hooks.active else None
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
        _watch(result, exchange)
        return result

    return request


def _noting(
    note: Callable[[Exchange, Mapping[str, Any]], None],
) -> Callable[[Any, _Hooks], Any]:
    """Make a wrapper that tells the exchange under way, then passes on."""

    def wrap(original: Callable[..., Any], hooks: _Hooks) -> Callable[..., Any]:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            exchange = otel_context.get_value(_EXCHANGE) if hooks.active else None
            if isinstance(exchange, Exchange):
                note(exchange, kwargs)
            return original(self, *args, **kwargs)

        return method

    return wrap


def _note_retry(exchange: Exchange, _: Mapping[str, Any]) -> None:
    exchange.retries += 1


def _note_arrival(exchange: Exchange, arguments: Mapping[str, Any]) -> None:
    exchange.arrived = arguments.get("response")


def _begin(client: Any, args: Any, kwargs: Any) -> Exchange | None:
    """Open the call if this is a chat completion, else return None."""
    options = kwargs.get("options") or (args[1] if len(args) > 1 else None)
    if not str(getattr(options, "url", "")).endswith(_CHAT):
        return None
    stream = bool(kwargs.get("stream"))
    opened: Exchange | None = guarded(
        "opening a call", lambda: _open(client, options, stream)
    )
    return opened


def _open(client: Any, options: Any, stream: bool) -> Exchange | None:
    body = _body(options)
    if body is None:
        return None
    name, attributes = _describe(client, body, stream)
    call = open_call(name, attributes, model=attributes.get(semconv.REQUEST_MODEL))
    if call is None:
        return None
    return Exchange(
        call, openai_chat, body, stream=stream, stream_error="openai.APIError"
    )


def _body(options: Any) -> Mapping[str, Any] | None:
    body = options.json_data
    if not isinstance(body, dict):
        return None
    extra = getattr(options, "extra_json", None)  # the caller's `extra_body`
    return {**body, **extra} if isinstance(extra, Mapping) else body


def _describe(
    client: Any, body: Mapping[str, Any], stream: bool
) -> tuple[str, dict[str, Any]]:
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
    try:
        response = _response_of(result)
        if response is None:
            exchange.answered(result)
        else:
            exchange.arrived = None
            watch_body(response, exchange)
    except Exception as fault:
        internal_error("watching an answer", fault)
        exchange.read(b"", incomplete="error")


def _response_of(result: Any) -> Any:
    """Return the HTTP response that the user is going to read, None if parsed."""
    if hasattr(result, "choices"):
        return None
    raw = getattr(result, "http_response", None)  # of a raw response
    streamed = getattr(result, "response", None)  # of a stream
    # Last the result itself: a raw response has an `iter_bytes` of its own.
    found = (each for each in (raw, streamed, result) if hasattr(each, "iter_bytes"))
    return next(found, None)
