"""One request of a client, from before it is sent to the end of its answer.

Knows no client: a client's module says what the request was, and hands over
the answer in one of three forms: an object that was parsed, bytes that were
read, or the chunks of a stream, folded.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hudtrace import semconv
from hudtrace.errors import blame_provider
from hudtrace.messages import Message, ModelReply, Part, Usage
from hudtrace.notices import internal_error
from hudtrace.prices import price_of, table_version
from hudtrace.tracing import late_ends
from hudtrace.tracing.content import ContentEncoder, Encoded, Resolved
from hudtrace.tracing.model_call import ModelCall

Json = dict[str, Any]
_CUT = "the stream ended before the model had come to the end of its answer"
_MODEL_NAME = re.compile(rb'"model(?:Version)?"\s*:\s*"([^"\\]{1,200})"')


class Content:
    """Request and answer of one call, by reference, until somebody reads them."""

    __slots__ = (
        "_body",
        "_dialect",
        "_fold",
        "_raw",
        "_reply",
        "_response",
        "_stream",
        "size",
    )

    def __init__(self, dialect: Any, body: Mapping[str, Any], *, stream: bool) -> None:
        self._dialect = dialect
        self._body = body
        self._stream = stream
        self._response: Any = None
        self._raw: bytes | None = None
        self._fold: Any = None
        self._reply: ModelReply | None = None
        self.size = 2000 + _size(dialect.request_messages(body))

    def sends(self, body: Mapping[str, Any]) -> None:
        """Keep *body* instead: the request as it is sent."""
        if body is not self._body:
            self._body = body
            self.size += _size(self._dialect.request_messages(body))

    def answered(self, response: Any) -> None:
        """Keep the parsed answer."""
        self._response = response
        self.size += 4000

    def read(self, raw: bytes) -> None:
        """Keep the bytes of the answer."""
        self._raw = raw
        self.size += len(raw)

    def folded(self, fold: Any) -> None:
        """Keep the answer's chunks, as a `StreamFold` of the dialect."""
        self._fold = fold
        self.size += fold.size

    def reply(self) -> ModelReply:
        """Return the answer as messages; read once."""
        if self._reply is None:
            if self._response is not None:
                self._reply = self._dialect.read_response(self._response)
            elif self._raw is not None:
                self._reply = self._dialect.read_body(self._raw, stream=self._stream)
            elif self._fold is not None:
                self._reply = self._fold.reply()
            else:
                self._reply = ModelReply([])
        return self._reply

    @property
    def answering_model(self) -> str | None:
        """The model that the answer names, found without reading the rest."""
        if self._raw is None:
            return self.reply().model
        found = _MODEL_NAME.search(self._raw)
        return None if found is None else found.group(1).decode("utf-8", "replace")

    def tool_calls(self) -> list[Part]:
        """Return the tool calls that the answer asks for."""
        return self.reply().tool_calls

    def asked(self) -> list[Message]:
        """Return the messages of the request."""
        sent = self._dialect.request_messages(self._body)
        return list(map(self._dialect.read_message, sent))

    def messages(self) -> list[Message]:
        """Return the conversation, the answer included."""
        return [*self.asked(), *self.reply().messages]

    @property
    def awaited(self) -> str | None:
        """The id of an answer that is to be fetched later, None if it is here."""
        if not self._body.get("background"):
            return None
        reply = self.reply()
        return None if any(reply.finish_reasons) else reply.id

    def resolve(self, encoder: ContentEncoder) -> Resolved:
        """Convert everything for the store, in the writer thread."""
        truncated = False
        sent: list[Encoded] = []
        dialect = self._dialect
        for wire in dialect.request_messages(self._body):
            key = dialect.message_key(wire)
            sent.append(encoder.message(key, lambda w=wire: dialect.read_message(w)))  # type: ignore[misc]
            truncated = truncated or encoder.truncated
        reply = self.reply()
        said: list[Encoded] = []
        for message in reply.messages:
            said.append(encoder.message(None, lambda m=message: m))  # type: ignore[misc]
            truncated = truncated or encoder.truncated
        tools = dialect.request_tools(self._body)
        attributes = {
            **dialect.request_parameters(self._body),
            **_reply_attributes(reply),
            semconv.HISTORY_INPUT: len(sent),
            semconv.HISTORY_OUTPUT: len(said),
        }
        if truncated:
            attributes[semconv.CONTENT_TRUNCATED] = True
        encoded = encoder.json(tools) if tools else None
        return Resolved(attributes, sent, said, encoded)


class Exchange:
    """One request under way, and its span; finishes exactly once.

    Never raises into the client's code: a fault of ours is noted, and the
    user's call goes on.
    """

    __slots__ = (
        "_content",
        "_dialect",
        "_stream",
        "_stream_error",
        "arrived",
        "call",
        "first_byte",
        "options",
        "retries",
    )

    def __init__(
        self,
        call: ModelCall,
        dialect: Any,
        body: Mapping[str, Any],
        *,
        stream: bool,
        stream_error: str,
    ) -> None:
        self.call = call
        self._stream_error = stream_error
        self.retries = 0
        self.first_byte: int | None = None
        self.arrived: Any = None  # the HTTP response, until it is parsed
        self.options: Any = None  # the client's own object of the request
        self._dialect = dialect
        self._stream = stream
        self._content = Content(dialect, body, stream=stream)

    def sends(self, body: Mapping[str, Any]) -> None:
        """Take the request's body from here on as *body*, which is what is sent."""
        self._content.sends(body)

    def answered(self, response: Any) -> None:
        """Finish with an answer that the client has parsed."""
        try:
            arrived, self.arrived = self.arrived, None
            # The bytes, where they are at hand, are read sooner than the objects.
            if hasattr(arrived, "_content"):
                self._content.read(arrived.content)
            else:
                self._content.answered(response)
            # Some APIs answer with an error that is no error of HTTP.
            failed = getattr(self._dialect, "response_error", lambda _: None)
            failure = failed(response)
            error = failure and ModelError(failure, self._stream_error)
            self._finish(self._dialect.read_usage(response), error=error)
        except Exception as error:
            internal_error("reading an answer", error)

    def read(
        self,
        raw: bytes,
        *,
        error: BaseException | None = None,
        incomplete: str | None = None,
        unread: bool = False,
    ) -> None:
        """Finish with the bytes that were read, to the end or not.

        *unread* says that nobody has asked for any.
        """
        try:
            dialect, stream = self._dialect, self._stream
            self._content.read(raw)
            usage = dialect.body_usage(raw, stream=stream) if raw else None
            if incomplete in ("closed", "cut"):
                whole = incomplete == "cut" and not stream
                if whole or dialect.body_complete(raw, stream=stream):
                    incomplete = None
                elif incomplete == "cut" and error is None:
                    error = ModelError(_CUT, "cut")
            attributes = {semconv.RESPONSE_UNREAD: True} if unread else {}
            if error is None and raw and not stream and raw.lstrip()[:1] != b"{":
                error = ModelError("the answer is no JSON object", "not_json")
            if error is None and b'"error"' in raw:
                failure = dialect.body_error(raw, stream=stream)
                if failure is not None:
                    error = ModelError(failure, self._stream_error)
                    incomplete = "error"
            self._finish(usage, attributes, error=error, incomplete=incomplete)
        except Exception as fault:
            internal_error("reading a stream", fault)

    def folded(
        self,
        fold: Any,
        *,
        error: BaseException | None = None,
        incomplete: str | None = None,
        unread: bool = False,
    ) -> None:
        """Finish with the chunks that were read, to the end or not."""
        try:
            self._content.folded(fold)
            if error is None:
                incomplete = None if fold.finished else incomplete or "cut"
                error = ModelError(_CUT, "cut") if incomplete == "cut" else None
            attributes = {semconv.RESPONSE_UNREAD: True} if unread else {}
            self._finish(fold.usage, attributes, error=error, incomplete=incomplete)
        except Exception as fault:
            internal_error("reading a stream", fault)

    def broken(self, message: str, fold: Any) -> None:
        """Finish with an error that the server put among the chunks."""
        error = ModelError(message, self._stream_error)
        self.folded(fold, error=error, incomplete="error")

    def abandoned(
        self, raw: bytes = b"", fold: Any = None, *, incomplete: str = "abandoned"
    ) -> None:
        """Finish with what was read of an answer that nobody holds any more.

        The garbage collector calls this, at any moment: also where this thread
        holds a lock that the end of a span takes. So the end is made later.
        """
        finish = self.read if fold is None else self.folded
        answer = raw if fold is None else fold
        unread = self.first_byte is None
        late_ends.later(
            functools.partial(finish, answer, incomplete=incomplete, unread=unread)
        )

    def failed(self, error: BaseException) -> None:
        """Finish with an error: of the request, the answer's parsing, cancellation."""
        if isinstance(error, GeneratorExit):
            self.abandoned()  # the coroutine was collected
            return
        attributes = {}
        for name in ("status_code", "code"):  # Google's errors have a `code`
            status = getattr(error, name, None)
            if isinstance(status, int):
                attributes[semconv.HTTP_STATUS] = int(status)
        cancelled = isinstance(error, asyncio.CancelledError)
        try:
            self._finish(
                self._unparsed_usage(),
                attributes,
                error=error,
                incomplete="cancelled" if cancelled else None,
            )
        except Exception as fault:
            internal_error("noting a failed call", fault)

    def _unparsed_usage(self) -> Usage | None:
        """Keep an answer that arrived but was not what the caller could parse."""
        response, self.arrived = self.arrived, None
        if not hasattr(response, "_content"):
            return None
        raw = response.content
        self._content.read(raw)
        usage: Usage | None = self._dialect.body_usage(raw, stream=self._stream)
        return usage

    def _finish(
        self,
        usage: Usage | None,
        attributes: Json | None = None,
        *,
        error: BaseException | None = None,
        incomplete: str | None = None,
    ) -> None:
        attributes = attributes or {}
        if error is not None and not _is_callers(error):
            blame_provider(error)
        if self.retries:
            attributes[semconv.HTTP_RESEND_COUNT] = self.retries
        if self.first_byte is not None and self._stream:
            waited = self.first_byte - self.call.started
            attributes[semconv.RESPONSE_TIME_TO_FIRST_CHUNK] = waited / 1e9
            attributes[semconv.TIME_TO_FIRST_CHUNK_MS] = waited // 1_000_000
        content = self._content
        if usage is not None:
            usage = self._priced(usage)
            if usage.cost is not None and not self.call.fetches:
                attributes[semconv.COST_CALL] = usage.cost
                attributes[semconv.COST_TABLE] = table_version()
        self.call.finish(
            content,
            usage=usage,
            tool_calls=content.tool_calls,
            messages=content.messages,
            awaited=content.awaited,
            asked=content.asked,
            attributes=attributes,
            error=error,
            incomplete=incomplete,
        )

    def _priced(self, usage: Usage) -> Usage:
        """Return *usage* with its cost, by the model asked for or that answered."""
        provider, asked = self.call.provider, self.call.model
        cost = price_of(provider, asked, usage)
        if cost is None and self._content.answering_model not in (None, asked):
            cost = price_of(provider, self._content.answering_model, usage)
        return usage if cost is None else replace(usage, cost=cost)


class ModelError(Exception):
    """An error that the model's server reported inside a stream.

    `error_type` is the client's own exception for it.
    """

    def __init__(self, message: str, error_type: str) -> None:
        super().__init__(message)
        self.error_type = error_type


def _is_callers(error: BaseException) -> bool:
    """Say whether an error is about what the caller asked, not about the answer."""
    kinds = type(error).__mro__
    return isinstance(error, TypeError) or any(
        kind.__module__.startswith("pydantic") for kind in kinds
    )


def guarded(where: str, make: Callable[[], Any]) -> Any:
    """Return what *make* returns, None if it fails; cancellation passes."""
    try:
        return make()
    except Exception as error:
        internal_error(where, error)
        return None


def _reply_attributes(reply: ModelReply) -> Json:
    attributes: Json = dict(reply.attributes)
    if reply.id is not None:
        attributes[semconv.RESPONSE_ID] = reply.id
    if reply.model is not None:
        attributes[semconv.RESPONSE_MODEL] = reply.model
    reasons = [reason or "error" for reason in reply.finish_reasons]
    if reasons:
        attributes[semconv.RESPONSE_FINISH_REASONS] = reasons
    usage = reply.usage
    if usage is not None:
        attributes[semconv.USAGE_INPUT] = usage.input_tokens
        if usage.output_tokens or reply.messages:  # embeddings have no output
            attributes[semconv.USAGE_OUTPUT] = usage.output_tokens
        for key, count in (
            (semconv.USAGE_CACHE_READ, usage.cached_tokens),
            (semconv.USAGE_CACHE_WRITE, usage.cache_write_tokens),
            (semconv.USAGE_REASONING, usage.reasoning_tokens),
        ):
            if count:
                attributes[key] = count
    return attributes


def _size(messages: Any) -> int:
    total = 0
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        total += len(content) if isinstance(content, str) else 1000
    return total
