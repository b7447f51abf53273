"""The recording half of one eval: its trace, turns, stamps and tally.

An episode knows no scenario, no tool and no provider. `context.py` tells it
what phase begins, instrumentation tells it of model calls, and it keeps the
tree of spans and the sums right, whatever the exporters or the sampler do.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context

from hudtrace import semconv
from hudtrace.messages import Message, Part, Usage
from hudtrace.tracing import late_ends
from hudtrace.tracing.spans import (
    STAMP,
    Span,
    Stamp,
    Tracer,
    Value,
    current_span,
    with_span,
    without_span,
)

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

EPISODE = otel_context.create_key("hudtrace-episode")
TURN = otel_context.create_key("hudtrace-turn")
#: The span of the request that a turn answers, of any trace: both are linked.
REQUEST = otel_context.create_key("hudtrace-request")

Calls = Callable[[], Sequence[Part]]
Conversation = Callable[[], list[Message]]


@dataclass(slots=True)
class Turn:
    """One model call and the tool calls it asked for; `index` counts from 1.

    `span` is None where the span of a user or a framework was current: then
    nothing is re-parented and the index is only stamped.
    """

    index: int
    span: Span | None
    context: Context


@dataclass(slots=True)
class Tally:
    """What the episode has used so far, right at any moment.

    `usage` is the agent's, `judge_usage` that of set-up and grading. `spent` is
    what the agent's calls have cost, those of them whose price is known. `untold`
    counts the agent's calls that have not said how many tokens they used.
    """

    usage: Usage = field(default_factory=Usage)
    judge_usage: Usage = field(default_factory=Usage)
    spent: float = 0.0
    model_calls: int = 0
    untold: int = 0
    tool_calls: int = 0
    tool_errors: int = 0
    tool_exceptions: int = 0


class OpenEpisodes:
    """The episodes open in this process, to place calls that lost their context."""

    def __init__(self) -> None:
        self._open: dict[int, Episode] = {}
        self._opened = itertools.count(1)
        self._last = 0
        self._lock = threading.Lock()

    def add(self, episode: Episode) -> None:
        """Note an episode that has begun."""
        with self._lock:
            self._last = next(self._opened)
            self._open[id(episode)] = episode

    def discard(self, episode: Episode) -> None:
        """Forget an episode that has ended."""
        with self._lock:
            self._open.pop(id(episode), None)

    def only(self) -> tuple[Episode | None, int]:
        """Return the one open episode, if there is just one, and a mark of now."""
        with self._lock:
            episodes = list(self._open.values())
            one = episodes[0] if len(episodes) == 1 else None
            return (one if one and one.takes_lost_calls else None), self._last

    def of_trace(self, trace_id: int) -> Episode | None:
        """Return the open episode of a trace, None if it is not of this process."""
        with self._lock:
            for episode in self._open.values():
                same = episode.root.context.trace_id == trace_id
                if same and not episode.inherited:
                    return episode
        return None

    def after_fork(self) -> None:
        """Note that those open now are the parent's: it ends them, and their turns."""
        self._lock = threading.Lock()
        for episode in self._open.values():
            episode.inherited = True
            episode._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._open)


open_episodes = OpenEpisodes()
os.register_at_fork(after_in_child=open_episodes.after_fork)


def current_episode(context: Context | None = None) -> Episode | None:
    """Return the episode that *context* (by default the current one) belongs to."""
    found = (otel_context.get_current() if context is None else context).get(EPISODE)
    return found if isinstance(found, Episode) else None


class Episode:
    """One run of one task: one trace.

    Opens its root span at once, so that `trace_id` is known from the start;
    `close` writes the roll-ups and ends it. Safe to use from many threads. With
    `takes_lost_calls`, a model call that lost its context counts as its, if no other
    episode is open.
    """

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        *,
        stamps: Mapping[str, Value],
        identity: Mapping[str, Value],
        agent: str = "agent",
        links: Sequence[trace.Link] = (),
    ) -> None:
        self.tracer = tracer
        self.agent = agent
        self.tally = Tally()
        self.turn_count = 0
        self.model: str | None = stamps.get(semconv.MODEL)
        self.last_call: Span | None = None
        self._base = dict(stamps)
        self._stamps: dict[tuple[str, int], Stamp] = {}
        self._turns: dict[object, Turn] = {}
        self._latest: Turn | None = None
        self._replies: list[tuple[Turn | None, Calls]] = []
        self._pending: list[tuple[Turn | None, Part]] = []
        self._conversation: Conversation | None = None
        self._awaited: dict[str, tuple[Turn | None, Conversation]] = {}
        self._lock = threading.RLock()
        self.limit: Callable[[str], str | None] = _no_limit
        self.stop: Callable[[str], None] = _no_stop
        self.closed = False
        self.inherited = False  # by a fork, from the process that runs it
        self.takes_lost_calls = True
        self.owner: object = None
        self.caller = _outside(otel_context.get_current())
        start = self._stamped(self.caller, semconv.PHASE_SETUP)
        attributes = {semconv.OPERATION: semconv.OP_EVALUATE, **identity}
        self.root = tracer.start(name, start, attributes, links=links)
        self.agent_span: Span | None = None
        self.agent_context = self.context(semconv.PHASE_AGENT, self.root)
        open_episodes.add(self)

    @property
    def trace_id(self) -> str:
        """The trace's id as 32 hexadecimal digits."""
        return format(self.root.context.trace_id, "032x")

    @property
    def span_id(self) -> str:
        """The root span's id as 16 hexadecimal digits."""
        return format(self.root.context.span_id, "016x")

    @property
    def seconds(self) -> float:
        """How long the episode has taken, until now or until its end."""
        end = self.root.end_time or self.tracer.clock()
        return (end - self.root.start_time) / 1e9

    @property
    def messages(self) -> list[Message]:
        """The conversation of the agent's last model call, its reply included."""
        return [] if self._conversation is None else self._conversation()

    # Phases ------------------------------------------------------------------

    def context(self, phase: str, span: Span, base: Context | None = None) -> Context:
        """Return *base* with *span* current, in *phase* of this episode."""
        stamped = self._stamped(self.caller if base is None else base, phase)
        return with_span(stamped, span)

    def start(
        self, name: str, phase: str, attributes: Mapping[str, Value] | None = None
    ) -> Span:
        """Start a child of the root for *phase*."""
        return self.tracer.start(name, self.context(phase, self.root), attributes)

    def start_agent(self, base: Context) -> Context:
        """Start the agent's span; return the context that the body runs in."""
        name = f"{semconv.OP_INVOKE_AGENT} {self.agent}"
        attributes = {
            semconv.OPERATION: semconv.OP_INVOKE_AGENT,
            semconv.AGENT_NAME: self.agent,
        }
        self.agent_span = self.start(name, semconv.PHASE_AGENT, attributes)
        self.agent_context = self.context(
            semconv.PHASE_AGENT, self.agent_span, _outside(base)
        )
        return self.agent_context

    def end_agent(self, error: BaseException | None = None) -> None:
        """End the agent's span and the turns that are still open."""
        self.end_turns()
        if self.agent_span is None or not self.agent_span.is_recording():
            return
        usage = self.tally.usage
        if self.tally.model_calls:
            self.agent_span.set_attributes(
                {
                    semconv.USAGE_INPUT: usage.input_tokens,
                    semconv.USAGE_OUTPUT: usage.output_tokens,
                }
            )
        if error is not None:
            self.agent_span.fail(error)
        self.agent_span.end()

    def close(self, rollup: Mapping[str, Value]) -> None:
        """Write *rollup* on the root and end it; later calls do nothing."""
        self.closed = True
        open_episodes.discard(self)
        self.end_agent()
        self.root.stamp = self._stamp("")
        self.root.set_attributes(rollup)
        self.root.end()
        self._forget()

    def _forget(self) -> None:
        """Let go of what refers back here, so that no garbage collector is needed."""
        self.owner = None
        self.limit, self.stop = _no_limit, _no_stop
        self.agent_context = Context({})
        with self._lock:
            self._latest = None
            self._pending.clear()
            self._replies.clear()
            self._awaited.clear()

    # Turns -------------------------------------------------------------------

    def turn_for_call(self, context: Context) -> tuple[Turn | None, Context]:
        """Return the turn of a model call made in *context*, and where its span goes.

        A turn opens by itself where the agent's own span is current. Where
        somebody else's is, the call counts as a turn without a span. Calls
        inside tools, explicit turns, set-up and grading open none.
        """
        explicit = context.get(TURN)
        if isinstance(explicit, Turn):
            return explicit, context
        stamp = context.get(STAMP)
        if not isinstance(stamp, Stamp):
            return None, context
        if stamp.attributes.get(semconv.PHASE) != semconv.PHASE_AGENT:
            return None, context
        own = current_span(context) is self.agent_span and not self.inherited
        turn = self._open_turn(context, with_own_span=own)
        return turn, turn.context

    def open_turn(self, context: Context) -> Turn:
        """Open a turn by hand; it ends with `end_turn`."""
        turn = self._open_turn(context, with_own_span=True)
        turn.context = Context({**turn.context, TURN: turn})
        return turn

    def end_turn(self, turn: Turn) -> None:
        """End *turn*, if it has not ended yet."""
        if turn.span is not None:
            turn.span.end()
        with self._lock:
            for key, open_turn in list(self._turns.items()):
                if open_turn is turn:
                    del self._turns[key]

    def end_turns(self) -> None:
        """End every open turn: the answer is in, or the body is over."""
        late_ends.settle()
        with self._lock:
            turns, self._turns = list(self._turns.values()), {}
        for turn in turns:
            if turn.span is not None:
                turn.span.end()

    def _open_turn(self, context: Context, *, with_own_span: bool) -> Turn:
        with self._lock:
            key = _line_of_work()
            previous = self._turns.pop(key, None)
            if previous is not None and previous.span is not None:
                previous.span.end()
            self.turn_count += 1
            stamp = self._stamp(semconv.PHASE_AGENT, self.turn_count)
            stamped = Context({**context, STAMP: stamp, EPISODE: self})
            span = None
            if with_own_span:
                span = self.tracer.start(semconv.SPAN_TURN, stamped)
                link_request(context.get(REQUEST), span)
                stamped = with_span(stamped, span)
            turn = Turn(self.turn_count, span, stamped)
            self._turns[key] = self._latest = turn
            return turn

    def turn_for_tool(
        self, call_id: str | None, name: str, arguments: object
    ) -> Turn | None:
        """Return the turn that asked for a tool call.

        That is the turn whose reply holds the call's id, else the first one
        with an open call of that name and those arguments, else the latest.
        """
        with self._lock:
            self._read_replies()
            same_id = [
                call_id is not None and part.get("id") == call_id
                for _, part in self._pending
            ]
            same_call = [
                part.get("name") == name and part.get("arguments") == arguments
                for _, part in self._pending
            ]
            for matches in (same_id, same_call):
                if True in matches:
                    return self._pending.pop(matches.index(True))[0]
            return self._latest

    def tool_context(self, turn: Turn | None, context: Context) -> Context:
        """Return the context to start a tool span in, made by a call in *context*.

        Below the turn, unless the span of a user or a framework is current.
        """
        if current_episode(context) is not self:
            context = self.agent_context
        if turn is None:
            return context
        if current_span(context) is self.agent_span and turn.span is not None:
            return Context({**context, **turn.context})
        stamp = self._stamp(semconv.PHASE_AGENT, turn.index)
        return Context({**context, STAMP: stamp})

    def inferred_context(self) -> Context:
        """Return the context for a model call that lost its own."""
        index = self._latest.index if self._latest is not None else 0
        stamp = self._stamp(semconv.PHASE_AGENT, index)
        return Context({**self.agent_context, STAMP: stamp})

    def _read_replies(self) -> None:
        replies, self._replies = self._replies, []
        for turn, calls in replies:
            self._pending += [(turn, part) for part in calls()]

    # Model calls -------------------------------------------------------------

    def record_call(
        self,
        span: Span,
        turn: Turn | None,
        phase: object,
        usage: Usage | None,
        tool_calls: Calls,
        messages: Conversation,
    ) -> None:
        """Add a finished model call to the tally."""
        with self._lock:
            self.record_usage(phase, usage)
            if phase != semconv.PHASE_AGENT:
                return
            self.tally.model_calls += 1
            self.last_call = span
            self._replies.append((turn, tool_calls))
            self._conversation = messages

    def await_reply(
        self, reply_id: str, turn: Turn | None, asked: Conversation
    ) -> None:
        """Note that the answer to a call is going to be fetched by its id."""
        with self._lock:
            self._awaited[reply_id] = (turn, asked)

    def record_fetched(
        self,
        reply_id: str,
        phase: object,
        usage: Usage | None,
        tool_calls: Calls,
        reply: Conversation,
    ) -> None:
        """Add a fetched answer to the tally, once: when it was awaited and is there."""
        with self._lock:
            if usage is None or reply_id not in self._awaited:
                return
            turn, asked = self._awaited.pop(reply_id)
            self.record_usage(phase, usage)
            if phase == semconv.PHASE_AGENT:
                self._replies.append((turn, tool_calls))
                self._conversation = lambda: [*asked(), *reply()]

    def record_usage(self, phase: object, usage: Usage | None) -> None:
        """Add the tokens of a call, the agent's or those of set-up and grading."""
        with self._lock:
            if phase == semconv.PHASE_AGENT:
                self.tally.usage += usage or Usage()
                self.tally.spent += (usage and usage.cost) or 0.0
            else:
                self.tally.judge_usage += usage or Usage()

    def learn_model(self, model: str | None) -> None:
        """Take the model's name from the agent's first call, if none was given."""
        with self._lock:
            if model and self.model is None:
                self.model = self._base[semconv.MODEL] = model
                self._stamps.clear()

    # Stamps ------------------------------------------------------------------

    def _stamp(self, phase: str, turn: int = 0) -> Stamp:
        stamp = self._stamps.get((phase, turn))
        if stamp is None:
            attributes = dict(self._base)
            if phase:
                attributes[semconv.PHASE] = phase
            if turn:
                attributes[semconv.TURN_INDEX] = turn
            stamp = self._stamps[phase, turn] = Stamp(attributes)
        return stamp

    def _stamped(self, context: Context, phase: str) -> Context:
        return Context({**context, STAMP: self._stamp(phase), EPISODE: self})


def _no_limit(kind: str) -> str | None:
    return None


def _no_stop(limit: str) -> None:
    return None


def _outside(context: Context) -> Context:
    """Return *context* without its span and turn: a new tree begins there."""
    outside = without_span(context)
    return Context({k: v for k, v in outside.items() if k != TURN})


def _line_of_work() -> object:
    """Return what a turn belongs to: the asyncio task, else the thread."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return task or threading.get_ident()


def link_request(request: object, turn: Span) -> None:
    """Link a request and the turn that answers it, each to the other.

    Where the client is the agent, a tool call takes the turn's place.
    """
    if not isinstance(request, trace.Span):
        return
    for one, other, kind in (
        (turn, request.get_span_context(), "http_request"),
        (request, turn.context, "episode_turn"),
    ):
        one.add_link(other, {semconv.LINK_KIND: kind})


def link_to(span: Span | SpanContext, kind: str) -> trace.Link:
    """Return a link that says why it is there: *kind* job, caller, read, episode."""
    ids: Any = span.context if isinstance(span, Span) else span
    return trace.Link(ids, {semconv.LINK_KIND: kind})
