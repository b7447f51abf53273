"""One call to a model: where its span goes, and what its end leaves behind.

Instrumentation opens a call before the request and finishes it when the
answer has been read, however that ends. Which turn it belongs to, whose eval
a call without context is, and what the tally counts is decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace import SpanKind, StatusCode

from hudtrace import semconv
from hudtrace.messages import Usage
from hudtrace.notices import notify_once
from hudtrace.prices import load_early
from hudtrace.tracing import late_ends
from hudtrace.tracing.content import Deferred
from hudtrace.tracing.episode import (
    TURN,
    Calls,
    Conversation,
    Episode,
    Turn,
    current_episode,
    open_episodes,
)
from hudtrace.tracing.provider import get_tracer
from hudtrace.tracing.spans import (
    STAMP,
    Span,
    Stamp,
    Tracer,
    Value,
    current_span,
    error_type_of,
    message_of,
    with_span,
)
from hudtrace.tracing.twins import beside_twins, is_of_agent

#: Set in a context whose model calls are part of one that is traced already.
COVERED = otel_context.create_key("hudtrace-covered")
#: Operations that say nothing in the agent's conversation, and are no turns.
_ASIDE = frozenset(
    {semconv.OP_EMBEDDINGS, semconv.OP_FETCH_RESPONSE, semconv.OP_COMPACT}
)


def open_call(
    name: str, attributes: Mapping[str, Value], *, model: str | None
) -> ModelCall | None:
    """Open a model call in the current context; None if it is not to be traced.

    *name* is the span's, *attributes* those known before the request. Raises
    `asyncio.CancelledError` where a limit of the eval forbids the call.
    """
    context = otel_context.get_current()
    if context.get(COVERED):
        return None
    episode = current_episode(context)
    tracer = episode.tracer if episode is not None else get_tracer()
    if tracer is None:
        return None
    late_ends.settle()
    load_early()
    aside = attributes.get(semconv.OPERATION) in _ASIDE
    if episode is not None:
        if not aside:
            in_turn = isinstance(context.get(TURN), Turn)
            refuse_past_limit(episode, "calls" if in_turn else "turns")
        if not aside and _phase(context) == semconv.PHASE_AGENT:
            episode.learn_model(model)
        return ModelCall.placed(tracer, name, attributes, context, episode)
    around = current_span(context)
    if isinstance(around, ApiSpan) and not is_of_agent(around):
        return ModelCall.placed(tracer, name, attributes, context, None)
    only, mark = open_episodes.only()
    if only is None and not len(open_episodes):
        return ModelCall.placed(tracer, name, attributes, context, None)
    if only is not None and not aside:
        refuse_past_limit(only, "turns")
    return ModelCall(tracer, name, attributes, context, candidate=only, mark=mark)


def refuse_past_limit(episode: Episode, kind: str) -> None:
    """Stop the episode's body if a limit is reached: *kind* is what comes next."""
    reached = episode.limit(kind)
    if reached is not None:
        episode.stop(reached)
        raise asyncio.CancelledError(f"limit reached: {reached}")


class ModelCall:
    """A model call under way.

    Attach `context` while the request runs. `span` is None for a call without
    context, whose place is known only when it ends.
    """

    __slots__ = (
        "_attributes",
        "_candidate",
        "_finished",
        "_mark",
        "_name",
        "_start",
        "_tracer",
        "context",
        "episode",
        "span",
        "turn",
    )

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        attributes: Mapping[str, Value],
        context: Context,
        *,
        candidate: Episode | None = None,
        mark: int = 0,
    ) -> None:
        self._tracer = tracer
        self._name = name
        self._attributes = attributes
        self._candidate = candidate
        self._mark = mark
        self._start = tracer.clock()
        self._finished = False
        self.context = context
        self.episode: Episode | None = None
        self.turn: Turn | None = None
        self.span: Span | None = None

    @classmethod
    def placed(
        cls,
        tracer: Tracer,
        name: str,
        attributes: Mapping[str, Value],
        context: Context,
        episode: Episode | None,
    ) -> ModelCall:
        """Make a call whose place in the tree is known from the start."""
        twin = False
        if episode is not None:
            context, twin = beside_twins(context)
        call = cls(tracer, name, attributes, context)
        call.episode = episode
        if episode is not None and not call.aside:
            call.turn, context = episode.turn_for_call(context)
        call._open(context).twin = twin
        return call

    @property
    def aside(self) -> bool:
        """Whether the call is none of the agent's turns, as embeddings are not."""
        return self._attributes.get(semconv.OPERATION) in _ASIDE

    @property
    def fetches(self) -> bool:
        """Whether the call fetches an answer, whose tokens are another call's."""
        return self._attributes.get(semconv.OPERATION) == semconv.OP_FETCH_RESPONSE

    @property
    def provider(self) -> str:
        """The value of `gen_ai.provider.name`."""
        return str(self._attributes.get(semconv.PROVIDER, ""))

    @property
    def model(self) -> str | None:
        """The model that was asked for."""
        model: str | None = self._attributes.get(semconv.REQUEST_MODEL)
        return model

    @property
    def started(self) -> int:
        """When the call began, in unix nanoseconds."""
        return self._start

    def finish(
        self,
        deferred: Deferred | None,
        *,
        usage: Usage | None,
        tool_calls: Calls,
        messages: Conversation,
        awaited: str | None = None,
        asked: Conversation | None = None,
        attributes: Mapping[str, Value] | None = None,
        error: BaseException | None = None,
        incomplete: str | None = None,
    ) -> None:
        """End the call; only the first finish counts.

        *deferred* is the content, *tool_calls* and *messages* read it when
        somebody asks. *awaited* is the id of an answer that is to be fetched
        later, *asked* the conversation that it answers. *incomplete* says why the answer was not read to its
        end: closed, cancelled, abandoned or error.
        """
        if self._finished:
            return
        self._finished = True
        span = self.span or self._open_late()
        span.deferred = deferred
        if attributes:
            span.set_attributes(attributes)
        if error is not None:
            span.set_attribute(semconv.ERROR_TYPE, error_type_of(error))
            span.set_status(StatusCode.ERROR, message_of(error))
        if incomplete is not None:
            span.set_attribute(semconv.RESPONSE_INCOMPLETE, incomplete)
        if self.episode is not None:
            self._record(self.episode, span, usage, tool_calls, messages)
            failed = error is not None or incomplete is not None
            if usage is None and not failed and awaited is None:
                self._count_untold(self.episode)
            if awaited is not None and asked is not None:
                self.episode.await_reply(awaited, self.turn, asked)
        span.end()

    def _record(
        self,
        episode: Episode,
        span: Span,
        usage: Usage | None,
        tool_calls: Calls,
        messages: Conversation,
    ) -> None:
        phase = _phase(self.context)
        if self.fetches:
            reply_id = str(self._attributes.get(semconv.RESPONSE_ID))
            episode.record_fetched(reply_id, phase, usage, tool_calls, messages)
        elif self.aside:
            episode.record_usage(phase, usage)
        else:
            episode.record_call(span, self.turn, phase, usage, tool_calls, messages)

    def _count_untold(self, episode: Episode) -> None:
        if not self.aside and _phase(self.context) == semconv.PHASE_AGENT:
            episode.tally.untold += 1

    def _open(self, context: Context) -> Span:
        self.span = self._tracer.start(
            self._name,
            context,
            self._attributes,
            kind=SpanKind.CLIENT,
            start_time=self._start,
        )
        self.context = with_span(context, self.span)
        return self.span

    def _open_late(self) -> Span:
        only, mark = open_episodes.only()
        episode = self._candidate
        if episode is not None and only is episode and mark == self._mark:
            self.episode = episode
            self._attributes = {
                **self._attributes,
                semconv.CONTEXT_SOURCE: semconv.CONTEXT_INFERRED,
            }
            if not self.aside:
                episode.learn_model(self._attributes.get(semconv.REQUEST_MODEL))
            return self._open(episode.inferred_context())
        _count_orphan()
        return self._open(self.context)


def _phase(context: Context) -> Any:
    stamp = context.get(STAMP)
    return stamp.attributes.get(semconv.PHASE) if isinstance(stamp, Stamp) else None


def _count_orphan() -> None:
    notify_once(
        "orphaned-model-call",
        "a model call lost its context while several evals were open, so it has a "
        "trace of its own; run the thread that makes it in contextvars.copy_context()",
    )
