"""Carries the current eval to where Python does not: threads, processes, our servers.

A carrier is plain text: the W3C trace context, and what spans of the eval are
stamped with. It is never sent to model providers.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace.propagation import set_span_in_context
from opentelemetry.trace.propagation.tracecontext import (
    TraceContextTextMapPropagator,
)

from hudtrace import settings
from hudtrace.runtime import get_runtime
from hudtrace.tracing.episode import EPISODE, TURN, Episode, open_episodes
from hudtrace.tracing.spans import STAMP, Stamp, current_span, without_span

STAMPS = "hudtrace-stamps"
_PROPAGATOR = TraceContextTextMapPropagator()
_FLUSH_SECONDS = 10.0


class Carrier(dict[str, str]):
    """What `attach` needs, as text: `traceparent` and ours; pickles like a dict."""

    @property
    def environment(self) -> dict[str, str]:
        """The same under names of environment variables, for a subprocess."""
        return {_variable(name): value for name, value in self.items()}


def propagate() -> Carrier:
    """Return the current place in an eval's trace, to take it somewhere else.

    Pass it to a thread or a worker of a process pool as it is, to a subprocess by
    adding `carrier.environment` to its environment, to a server of yours as headers;
    there, `with hud.attach(carrier):` goes on in the same trace. Empty outside an eval.
    """
    carrier = Carrier()
    context = otel_context.get_current()
    stamp = context.get(STAMP)
    if isinstance(stamp, Stamp) and isinstance(current_span(context), ApiSpan):
        _PROPAGATOR.inject(carrier, context)
        text = json.dumps(stamp.attributes, separators=(",", ":"))
        carrier[STAMPS] = urllib.parse.quote(text, safe="")
    return carrier


@contextlib.contextmanager
def attach(carrier: Mapping[str, str] | None = None) -> Iterator[None]:
    """Go on in the trace that *carrier* comes from; by default, the environment's.

    Model calls and spans inside the block belong to that eval, and are stored by this
    process. In the eval's own process they count towards its totals and limits.
    A carrier without an eval changes nothing. Leaving the block in a worker of
    `multiprocessing` writes what has been recorded, as such a process may end without
    notice.
    """
    if carrier is not None and not hasattr(carrier, "items"):
        raise TypeError(
            f"attach({carrier!r:.80}): a carrier is what hud.propagate() returned, or "
            f"a mapping that has it, for example the headers of a request"
        )
    found = settings.carrier_variables() if carrier is None else _lowered(carrier)
    context = _context_of(found)
    if context is None:
        yield
        return
    runtime = get_runtime()
    token = otel_context.attach(context)
    try:
        yield
    finally:
        otel_context.detach(token)
        if multiprocessing.parent_process() is not None:
            runtime.flush(_FLUSH_SECONDS)


def _context_of(carrier: Mapping[str, str]) -> Context | None:
    if STAMPS not in carrier:
        return None
    remote = _PROPAGATOR.extract(carrier, Context())
    span = current_span(remote)
    if not isinstance(span, ApiSpan) or not span.get_span_context().is_valid:
        return None
    try:
        stamps = json.loads(urllib.parse.unquote(carrier[STAMPS]))
    except ValueError:
        return None
    if not isinstance(stamps, dict):
        return None
    return _here(span.get_span_context(), stamps)


def _here(ids: SpanContext, stamps: dict[str, Any]) -> Context:
    """Return the current context with the carried place in it."""
    # What a copied context or a fork has brought along gives way to the carrier.
    context = without_span(otel_context.get_current())
    episode = open_episodes.of_trace(ids.trace_id)
    span: ApiSpan = NonRecordingSpan(ids)
    if episode is not None:
        context = Context({**context, EPISODE: episode})
        span = _known_span(episode, ids) or span
    else:
        kept = {k: v for k, v in context.items() if k not in (EPISODE, TURN)}
        context = Context(kept)
    return set_span_in_context(span, Context({**context, STAMP: Stamp(stamps)}))


def _known_span(episode: Episode, ids: SpanContext) -> ApiSpan | None:
    """Return the eval's own agent span if that was current: turns open below it."""
    agent = episode.agent_span
    return agent if agent is not None and agent.context.span_id == ids.span_id else None


def _lowered(carrier: Mapping[str, str]) -> dict[str, str]:
    return {str(name).lower().replace("_", "-"): v for name, v in carrier.items()}


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")
