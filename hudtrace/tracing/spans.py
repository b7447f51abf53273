"""The span that hudtrace records: small, over OpenTelemetry's public API.

Other libraries nest their spans below ours and ours below theirs, because
both speak the API's `Span`. Creating one of ours costs a fraction of an SDK
span: no sampler, no limits object, no copy at the end.
"""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from hudtrace import semconv
from hudtrace.tracing.ids import RandomIds

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from hudtrace.tracing.content import Deferred

Value = Any  # what OpenTelemetry calls AnyValue
MAX_ATTRIBUTES = 512
MAX_EVENTS = 1024
MAX_LINKS = 1024

#: Context keys. `trace` keeps the current span of any library under its own.
STAMP = otel_context.create_key("hudtrace-stamp")
OWN_SPAN = otel_context.create_key("hudtrace-span")
ABANDON = otel_context.create_key("hudtrace-abandon")

_PLAIN = frozenset({str, int, float, bool, bytes})
_SAMPLED = TraceFlags(
    TraceFlags.SAMPLED | getattr(TraceFlags, "RANDOM_TRACE_ID", 0),
)
_UNSET = Status(StatusCode.UNSET)
_SPAN_KEY = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
_SPAN_BYTES = 1600  # what one recorded span holds, measured, without its strings
_ending = threading.Lock()


class Stamp:
    """Attributes that many spans share; held by reference, encoded once."""

    __slots__ = ("attributes", "encoded", "encoder")

    def __init__(self, attributes: dict[str, Value]) -> None:
        self.attributes = attributes
        self.encoded: bytes | None = None
        self.encoder: object = None


class Abandon:
    """Work that may be given up while its thread runs on, out of our reach.

    Spans started after that are dropped and counted in `dropped`.
    """

    __slots__ = ("dropped", "given_up")

    def __init__(self) -> None:
        self.given_up = False
        self.dropped = 0


class Event:
    """Something that happened during a span; `timestamp` is in unix ns."""

    __slots__ = ("attributes", "dropped_attributes", "name", "timestamp")

    def __init__(self, name: str, attributes: dict[str, Value], timestamp: int) -> None:
        self.name = name
        self.attributes = attributes
        self.timestamp = timestamp
        self.dropped_attributes = 0


class Sink(Protocol):
    """Where spans go as they start and end; it never raises and never blocks long."""

    def started(self, span: Span) -> None:
        """Take note of a span that has just begun."""

    def ended(self, span: Span) -> None:
        """Take over a span that has just ended."""


class NoSink:
    """Takes the spans of abandoned work and keeps none."""

    def started(self, span: Span) -> None:
        """Ignore the span."""

    def ended(self, span: Span) -> None:
        """Ignore the span."""


class Span(trace.Span):
    """One recorded span; times are unix nanoseconds, `end_time` None while open.

    `attributes` are the span's own; those of `stamp` come on top when it is
    written. `deferred` is the content of a model call, read later by the
    writer thread.
    """

    __slots__ = (
        "attributes",
        "context",
        "deferred",
        "dropped_attributes",
        "dropped_events",
        "dropped_links",
        "end_time",
        "events",
        "kind",
        "links",
        "name",
        "parent",
        "sink",
        "stamp",
        "start_time",
        "status",
        "tracer",
        "twin",
    )

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        *,
        kind: SpanKind,
        attributes: dict[str, Value],
        links: Sequence[trace.Link],
        stamp: Stamp | None,
        start_time: int,
    ) -> None:
        self.tracer = tracer
        self.sink: Sink = tracer.sink
        self.name = name
        self.context = context
        self.parent = parent
        self.kind = kind
        self.attributes = attributes
        self.links = links
        self.stamp = stamp
        self.start_time = start_time
        self.end_time: int | None = None
        self.status = _UNSET
        self.events: Sequence[Event] = ()
        self.deferred: Deferred | None = None
        self.twin = False  # another instrumentor has a span of the same call
        self.dropped_attributes = self.dropped_events = self.dropped_links = 0

    @property
    def resource(self) -> Resource:
        """The process that the span was recorded in."""
        return self.tracer.resource

    @property
    def instrumentation_scope(self) -> InstrumentationScope:
        """The library that recorded the span: hudtrace."""
        return self.tracer.scope

    @property
    def size(self) -> int:
        """The bytes that the span holds in memory, roughly."""
        total = _SPAN_BYTES
        if self.deferred is not None:
            total += self.deferred.size
        for value in self.attributes.values():
            if value.__class__ is str:
                total += len(value)
        return total + 1000 * len(self.events)

    def get_span_context(self) -> SpanContext:
        """Return the ids that children and links refer to."""
        return self.context

    def is_recording(self) -> bool:
        """Say whether attributes and events are still taken."""
        return self.end_time is None

    def set_attribute(self, key: str, value: Value) -> None:
        """Set one attribute; ignored when the span has ended."""
        if self.end_time is not None:
            return
        if value.__class__ not in _PLAIN:
            value = _frozen(value)
        if key not in self.attributes and len(self.attributes) >= MAX_ATTRIBUTES:
            self.dropped_attributes += 1
        else:
            self.attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, Value]) -> None:
        """Set several attributes; ignored when the span has ended."""
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def add_event(
        self,
        name: str,
        attributes: Mapping[str, Value] | None = None,
        timestamp: int | None = None,
    ) -> None:
        """Add an event; `timestamp` in unix ns, now by default."""
        if self.end_time is not None:
            return
        if len(self.events) >= MAX_EVENTS:
            self.dropped_events += 1
            return
        event = Event(name, _plain(attributes), timestamp or self.tracer.clock())
        self.events = [*self.events, event]

    def add_link(
        self, context: SpanContext, attributes: Mapping[str, Value] | None = None
    ) -> None:
        """Link this span to another one, of any trace."""
        if self.end_time is not None:
            return
        if len(self.links) >= MAX_LINKS:
            self.dropped_links += 1
            return
        self.links = [*self.links, trace.Link(context, _plain(attributes))]

    def update_name(self, name: str) -> None:
        """Rename the span; ignored when it has ended."""
        if self.end_time is None:
            self.name = name

    def set_status(
        self, status: Status | StatusCode, description: str | None = None
    ) -> None:
        """Set the status; OK is final and UNSET never replaces another."""
        if self.end_time is not None or self.status.status_code is StatusCode.OK:
            return
        if isinstance(status, StatusCode):
            status = Status(status, description)
        if status.status_code is not StatusCode.UNSET:
            self.status = status

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Value] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Record *exception* as an event with its type, message and traceback."""
        details = {
            semconv.EXCEPTION_TYPE: type_name(exception),
            semconv.EXCEPTION_MESSAGE: message_of(exception),
            semconv.EXCEPTION_STACKTRACE: _traceback_of(exception),
        }
        self.add_event(
            semconv.EXCEPTION_EVENT, {**details, **_plain(attributes)}, timestamp
        )

    def fail(self, exception: BaseException, error_type: str | None = None) -> None:
        """Mark the span as failed by *exception*: event, status, `error.type`."""
        self.record_exception(exception)
        self.set_attribute(semconv.ERROR_TYPE, error_type or error_type_of(exception))
        self.set_status(StatusCode.ERROR, message_of(exception))

    def end(self, end_time: int | None = None) -> None:
        """End the span and hand it over; only the first call counts."""
        with _ending:
            if self.end_time is not None:
                return
            self.end_time = end_time or self.tracer.clock()
        self.sink.ended(self)

    def __exit__(self, exc_type: Any, exc: BaseException | None, tb: Any) -> None:
        """End the span, as failed if the block raised."""
        if isinstance(exc, Exception):
            self.fail(exc)
        self.end()

    def readable(self, extra: Mapping[str, Value] | None = None) -> ReadableSpan:
        """Return a copy for the SDK's processors and exporters, stamp included."""
        from opentelemetry.sdk.trace import Event as SdkEvent
        from opentelemetry.sdk.trace import ReadableSpan

        stamped = self.stamp.attributes if self.stamp else {}
        return ReadableSpan(
            self.name,
            self.context,
            self.parent,
            self.resource,
            {**self.attributes, **stamped, **(extra or {})},
            [SdkEvent(e.name, e.attributes, e.timestamp) for e in self.events],
            tuple(self.links),
            self.kind,
            status=self.status,
            start_time=self.start_time,
            end_time=self.end_time,
            instrumentation_scope=self.instrumentation_scope,
        )


class Tracer:
    """Makes spans for one sink; always samples, whatever the environment says.

    `clock` returns unix nanoseconds; it and `ids` are replaced in tests only.
    """

    def __init__(
        self,
        sink: Sink,
        resource: Resource,
        *,
        clock: Callable[[], int] = time.time_ns,
        ids: IdGenerator | None = None,
    ) -> None:
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        from hudtrace import __version__

        self.sink = sink
        self.resource = resource
        self.clock = clock
        self.ids = ids or RandomIds()
        self.scope = InstrumentationScope(semconv.SCOPE, __version__)

    def start(
        self,
        name: str,
        context: Context,
        attributes: Mapping[str, Value] | None = None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[trace.Link] = (),
        start_time: int | None = None,
    ) -> Span:
        """Start a span below the current one of *context*; it is not made current."""
        parent = _parent_in(context)
        if parent is None:
            trace_id, state = self.ids.generate_trace_id(), None
        else:
            trace_id, state = parent.trace_id, parent.trace_state
        ids = SpanContext(trace_id, self.ids.generate_span_id(), False, _SAMPLED, state)
        span = Span(
            self,
            name,
            ids,
            parent,
            kind=kind,
            attributes=_plain(attributes),
            links=links,
            stamp=context.get(STAMP),  # type: ignore[arg-type]
            start_time=start_time or self.clock(),
        )
        abandon = context.get(ABANDON)
        if isinstance(abandon, Abandon) and abandon.given_up:
            abandon.dropped += 1
            span.sink = NoSink()
        span.sink.started(span)
        return span


def with_span(context: Context, span: Span, **others: object) -> Context:
    """Return *context* with *span* current and *others* (by context key) set."""
    return Context({**context, _SPAN_KEY: span, OWN_SPAN: span, **others})


def without_span(context: Context) -> Context:
    """Return *context* with no current span, so that a new trace begins there."""
    hidden = (_SPAN_KEY, OWN_SPAN, STAMP)
    return Context({k: v for k, v in context.items() if k not in hidden})


def current_span(context: Context) -> object:
    """Return what is current in *context*: a span of any library, or None."""
    return context.get(_SPAN_KEY)


def error_type_of(exception: BaseException) -> str:
    """Return what `error.type` says of *exception*: its type, cancelled, timeout.

    An exception of ours that stands for another names it in `error_type`.
    """
    named = getattr(exception, "error_type", None)
    if isinstance(named, str):
        return named
    if isinstance(exception, asyncio.CancelledError):
        return "cancelled"
    return "timeout" if type(exception) is TimeoutError else type_name(exception)


def type_name(exception: BaseException) -> str:
    """Return the qualified type of *exception*."""
    kind = type(exception)
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def message_of(exception: BaseException) -> str:
    """Return the text of *exception*, even where its `str()` is broken."""
    try:
        return str(exception)
    except Exception as broken:
        return f"<{type(exception).__name__} with a broken __str__: {broken!r}>"


def _traceback_of(exception: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(exception))
    except Exception:
        return f"{type_name(exception)}: {message_of(exception)}"


def _parent_in(context: Context) -> SpanContext | None:
    current = context.get(_SPAN_KEY)
    if isinstance(current, Span):
        return current.context
    own: Any = context.get(OWN_SPAN)
    if isinstance(current, trace.Span):
        ids = current.get_span_context()
        # A span that another provider did not sample is in no store: our spans
        # below it would hang from nothing, so they go to our nearest one.
        if own is None or (current.is_recording() and ids.is_valid):
            return ids if ids.is_valid else None
    return None if own is None else own.context


def _plain(attributes: Mapping[str, Value] | None) -> dict[str, Value]:
    if not attributes:
        return {}
    kept = dict(attributes)
    for key, value in kept.items():
        if value.__class__ not in _PLAIN:
            kept[key] = _frozen(value)
    return kept


def _frozen(value: Value) -> Value:
    """Copy a mutable value, since it is encoded later; text for strange types."""
    if value is None or isinstance(value, str | int | float | bool | bytes):
        return value
    if isinstance(value, Mapping):
        return {str(key): _frozen(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return tuple(_frozen(item) for item in value)
    return str(value)
