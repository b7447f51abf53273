"""How each provider's client is asked, for a whole answer or a stream of it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from hudtrace.dialects import (
    anthropic_messages,
    gemini,
    openai_chat,
    openai_responses,
)
from hudtrace.messages import ModelReply
from hudtrace.threads import tool_threads

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Api:
    """One API of one client: its package, its dialect, and how it is called.

    `call(client, body, stream)` makes the call with the JSON body of a request.
    """

    package: str
    dialect: Any
    call: Callable[[Any, Json, bool], Any]


class ModelClient:
    """A client and the API that it is used with.

    Sync clients work too, each call in a thread. Raises ValueError for an API
    that there is not or that the client does not speak, TypeError where the
    client's type does not tell.
    """

    def __init__(self, client: Any, api: str = "auto") -> None:
        self._client = client
        self._api = _choose(client, api)
        self._in_thread = _is_sync(client)
        self.dialect = self._api.dialect

    async def ask(self, body: Json) -> ModelReply:
        """Send a request and return the answer; raises what the client raises."""
        response = await self._call(body, stream=False)
        reply: ModelReply = self.dialect.read_response(response)
        return reply

    async def stream(self, body: Json, emit: Callable[[str], None]) -> ModelReply:
        """Send a request, hand on pieces of text as they come; return the answer."""
        chunks = await self._call(body, stream=True)
        fold = self.dialect.StreamFold()
        try:
            async for chunk in self._iterate(chunks):
                fold.add(chunk)
                text = self.dialect.delta_text(chunk)
                if text:
                    emit(text)
        finally:
            await _close(chunks)
        reply: ModelReply = fold.reply()
        return reply

    async def _call(self, body: Json, *, stream: bool) -> Any:
        call = functools.partial(self._api.call, self._client, body, stream)
        if self._in_thread:
            return await tool_threads().run(call)
        result = call()
        return await result if inspect.isawaitable(result) else result

    async def _iterate(self, chunks: Any) -> AsyncIterator[Any]:
        if hasattr(chunks, "__aiter__"):
            async for chunk in chunks:
                yield chunk
            return
        pieces, end = iter(chunks), object()
        while (chunk := await tool_threads().run(lambda: next(pieces, end))) is not end:
            yield chunk


def _chat_completions(client: Any, body: Json, stream: bool) -> Any:
    if stream:
        body = {"stream_options": {"include_usage": True}, **body, "stream": True}
    return _create(client.chat.completions.create, body)


def _responses(client: Any, body: Json, stream: bool) -> Any:
    return _create(client.responses.create, {**body, "stream": stream})


def _anthropic(client: Any, body: Json, stream: bool) -> Any:
    return _create(client.messages.create, {**body, "stream": stream})


def _create(method: Callable[..., Any], body: Json) -> Any:
    """Call *method* with the keys that it has as arguments, the others as they are.

    A key may be newer than the client, or one that it no longer offers.
    """
    known = _parameters(getattr(method, "__func__", method))
    others = {k: value for k, value in body.items() if k not in known}
    if not others or "extra_body" not in known:
        return method(**body)
    named = {k: value for k, value in body.items() if k in known}
    return method(**{**named, "extra_body": {**others, **body.get("extra_body", {})}})


@functools.lru_cache(maxsize=32)
def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def _gemini(client: Any, body: Json, stream: bool) -> Any:
    models = getattr(client, "aio", client).models
    config = {"automatic_function_calling": {"disable": True}, **body}
    model, contents = config.pop("model"), config.pop("contents")
    send = models.generate_content_stream if stream else models.generate_content
    return send(model=model, contents=contents, config=config)


APIS = {
    "chat_completions": Api("openai", openai_chat, _chat_completions),
    "responses": Api("openai", openai_responses, _responses),
    "anthropic": Api("anthropic", anthropic_messages, _anthropic),
    "gemini": Api("google.genai", gemini, _gemini),
}


def _choose(client: Any, api: str) -> Api:
    if api != "auto" and api not in APIS:
        raise ValueError(f"api={api!r}: it is 'auto' or one of {', '.join(APIS)}")
    spoken = [name for name, each in APIS.items() if _is_of(client, each.package)]
    if api == "auto":
        if not spoken:
            raise TypeError(
                f"cannot tell which API a {type(client).__qualname__} speaks: pass "
                f"a client of openai, anthropic or google-genai, or api='…' for one "
                f"with the same methods (one of {', '.join(APIS)})"
            )
        return APIS[spoken[0]]
    if spoken and api not in spoken:
        raise ValueError(
            f"api={api!r} does not fit a {type(client).__qualname__}: it speaks "
            f"{' and '.join(spoken)}"
        )
    return APIS[api]


def _is_of(client: Any, package: str) -> bool:
    modules = (kind.__module__ for kind in type(client).__mro__)
    return any(m == package or m.startswith(f"{package}.") for m in modules)


def _is_sync(client: Any) -> bool:
    """Say whether calls of the client block: those of openai and anthropic tell."""
    return any(kind.__name__ == "SyncAPIClient" for kind in type(client).__mro__)


async def _close(chunks: Any) -> None:
    for name in ("close", "aclose"):
        close = getattr(chunks, name, None)
        if close is not None:
            closing = close()
            if inspect.isawaitable(closing):
                await closing
            return
