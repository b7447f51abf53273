"""The tracer of this process, and how it lives beside other providers.

Our own spans come from a `Tracer` of ours: always sampled, never limited by
the user's SDK settings. Spans of frameworks and users come from the global
SDK provider: theirs if they set one (we join it, and hand it our spans), else
one that we set.
"""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from hudtrace import semconv
from hudtrace.tracing.spans import Tracer

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

_tracer: Tracer | None = None
_ours: Any = None  # the global SDK provider, if it is one that we set
_TELEMETRY_SERVICES = frozenset({"crewAI-telemetry"})
_joined: weakref.WeakSet[Any] = weakref.WeakSet()


def use_tracer(tracer: Tracer | None) -> None:
    """Make *tracer* the one that instrumentation and evals of this process use."""
    global _tracer
    _tracer = tracer


def get_tracer() -> Tracer | None:
    """Return the tracer of this process; None until something is configured."""
    return _tracer


def make_resource(attributes: Mapping[str, Any], service_name: str | None) -> Resource:
    """Describe this process: the user's resource if there is one, and *attributes*."""
    from opentelemetry.sdk.resources import Resource

    provider = trace.get_tracer_provider()
    others = provider is not _ours and not _phones_home(provider)
    theirs = getattr(provider, "resource", None) if others else None
    base = theirs if isinstance(theirs, Resource) else Resource.create({})
    named = service_name is not None or (theirs is not None and base is theirs)
    ours = {semconv.SERVICE_INSTANCE: str(uuid.uuid4()), **attributes}
    if not named or str(base.attributes.get(semconv.SERVICE_NAME, "")).startswith(
        "unknown_service"
    ):
        ours[semconv.SERVICE_NAME] = "hudtrace"
    return base.merge(Resource(ours))


def join_global_provider(processor: SpanProcessor, resource: Resource) -> HandOver:
    """Have *processor* see foreign spans; return how to hand ours to theirs.

    Sets a global provider if none is set, which is final for the process, as
    OpenTelemetry allows one only.
    """
    from opentelemetry.sdk.trace import TracerProvider

    global _ours
    provider = trace.get_tracer_provider()
    if provider is _ours and provider is not None:
        return HandOver(None, processor)
    if isinstance(provider, TracerProvider):
        if provider not in _joined:
            provider.add_span_processor(processor)
            _joined.add(provider)
        if _phones_home(provider):
            return HandOver(None, processor)
        return HandOver(provider, processor)
    if isinstance(provider, trace.ProxyTracerProvider):
        _ours = _own_provider(processor, resource)
        trace.set_tracer_provider(_ours)
    return HandOver(None, processor)


def _phones_home(provider: object) -> bool:
    """Say whether a global provider is a library's own, and no choice of the user.

    CrewAI before 1.15 makes the provider of its telemetry the global one: what it
    is given goes to CrewAI.
    """
    resource = getattr(provider, "resource", None)
    attributes = getattr(resource, "attributes", None) or {}
    return attributes.get(semconv.SERVICE_NAME) in _TELEMETRY_SERVICES


def _own_provider(processor: SpanProcessor, resource: Resource) -> Any:
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    from hudtrace.tracing.ids import RandomIds
    from hudtrace.tracing.spans import MAX_ATTRIBUTES, MAX_EVENTS, MAX_LINKS

    limits = SpanLimits(
        max_span_attributes=MAX_ATTRIBUTES,
        max_events=MAX_EVENTS,
        max_links=MAX_LINKS,
        max_attribute_length=SpanLimits.UNSET,
        max_span_attribute_length=SpanLimits.UNSET,
    )
    provider = TracerProvider(
        sampler=ALWAYS_ON,
        resource=resource,
        id_generator=RandomIds(),
        span_limits=limits,
        shutdown_on_exit=False,
    )
    provider.add_span_processor(processor)
    return provider


class HandOver:
    """Gives our ended spans to the processors of the user's own provider."""

    def __init__(self, provider: Any, ours: SpanProcessor) -> None:
        self._provider = provider
        self._ours = ours

    def __bool__(self) -> bool:
        return self._provider is not None

    def __call__(self, span: ReadableSpan) -> None:
        """Pass *span* on; what a foreign processor raises stays with it."""
        # The SDK has no public way to the processors of a provider.
        active = getattr(self._provider, "_active_span_processor", None)
        for processor in getattr(active, "_span_processors", ()):
            if processor is self._ours:
                continue
            on_end: Callable[[ReadableSpan], None] = processor.on_end
            try:
                on_end(span)
            except Exception:
                continue
