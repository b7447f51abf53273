"""The viewer's own API, a module for each noun: all of it reads, none of it writes."""

from __future__ import annotations

from hudtrace.viewer.api import (
    diff,
    downloads,
    episodes,
    jobs,
    messages,
    search,
    setup,
    span,
    timeline,
    trace,
    traces,
)

ENDPOINTS = (
    *episodes.ENDPOINTS,
    *jobs.ENDPOINTS,
    *traces.ENDPOINTS,
    *search.ENDPOINTS,
    *trace.ENDPOINTS,
    *timeline.ENDPOINTS,
    *span.ENDPOINTS,
    *messages.ENDPOINTS,
    *diff.ENDPOINTS,
    *downloads.ENDPOINTS,
    *setup.ENDPOINTS,
)
