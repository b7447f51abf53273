"""How each provider's client is asked, for a whole answer or a stream of it."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hudtrace import dialects
from hudtrace.chat.streams import from_loop, from_thread
from hudtrace.errors import IncompleteAnswer, blame_provider
from hudtrace.messages import ModelReply
from hudtrace.threads import tool_threads

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Api:
    """One API of one client: its package, its dialect's name, and how it is called.

    `call(client, body, stream)` makes the call with the JSON body of a request.
    `provider` is the value of `gen_ai.provider.name`.
    """

    package: str
    provider: str
    dialect: str
    call: Callable[[Any, Json, bool], Any]


class ModelClient:
    """A client and the API that it is used with.

    Sync clients work too, each call in a thread. Raises ValueError for an API
    that there is not or that the client does not speak, TypeError where the
    client's type does not tell. What a call raises counts as the provider's.
    """

    def __init__(self, client: Any, api: str = "auto") -> None:
        self._client = client
        self._api = _choose(client, api)
        self._in_thread = _is_sync(client)
        self.dialect: Any = getattr(dialects, self._api.dialect)

    async def ask(self, body: Json) -> ModelReply:
        """Send a request and return the answer; raises what the client raises."""
        with self._observed(body, stream=False) as exchange:
            response = await self._whole(body)
            reply: ModelReply = self.dialect.read_response(response)
            if not (reply.messages or reply.finish_reasons):
                raise IncompleteAnswer(
                    f"the model's server answered with something else than an answer: "
                    f"{str(response)[:200]!r}"
                )
            if exchange is not None:
                exchange.answered(response)
        return reply

    async def stream(self, body: Json, emit: Callable[[str], None]) -> ModelReply:
        """Send a request, hand on pieces of text as they come; return the answer."""
        fold = self.dialect.StreamFold()
        with self._observed(body, stream=True, fold=fold) as exchange:
            async with contextlib.aclosing(self._chunks(body)) as chunks:
                async for chunk in chunks:
                    fold.add(chunk)
                    text = self.dialect.delta_text(chunk)
                    if text:
                        emit(text)
            if not fold.finished:
                raise IncompleteAnswer(
                    "the stream ended before the model had come to the end of its "
                    "answer"
                )
            if exchange is not None:
                exchange.folded(fold)
        reply: ModelReply = fold.reply()
        return reply

    async def _whole(self, body: Json) -> Any:
        call = self._call(body, stream=False)
        if self._in_thread:
            return await tool_threads().run(call)
        result = call()
        return await result if inspect.isawaitable(result) else result

    def _chunks(self, body: Json) -> AsyncGenerator[Any, None]:
        call = self._call(body, stream=True)
        return from_thread(call) if self._in_thread else from_loop(call)

    def _call(self, body: Json, *, stream: bool) -> Callable[[], Any]:
        return functools.partial(self._api.call, self._client, body, stream)

    @contextlib.contextmanager
    def _observed(self, body: Json, *, stream: bool, fold: Any = None) -> Iterator[Any]:
        """Trace the call if the client does not, and say whose an error of it is.

        Yields the exchange that is to be finished, None for a client that is
        instrumented.
        """
        from hudtrace.instrumentation.untraced import observe, traces

        api = self._api
        instrumented = _is_of(self._client, api.package) and traces(api.package)
        try:
            if instrumented:
                yield None
            else:
                with observe(api.provider, self.dialect, body, fold=fold) as exchange:
                    yield exchange
        except Exception as error:
            blame_provider(error)
            raise


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
    "chat_completions": Api("openai", "openai", "openai_chat", _chat_completions),
    "responses": Api("openai", "openai", "openai_responses", _responses),
    "anthropic": Api("anthropic", "anthropic", "anthropic_messages", _anthropic),
    "gemini": Api("google.genai", "gcp.gemini", "gemini", _gemini),
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
