"""Two traces side by side."""

from __future__ import annotations

import dataclasses

from hudtrace.transcript import diff
from hudtrace.viewer import addresses
from hudtrace.viewer.api.trace import head
from hudtrace.viewer.desk import Desk
from hudtrace.viewer.endpoints import TRACE_ID, Endpoint, Json


def compared(desk: Desk, a: str, b: str) -> Json:
    """Return where two conversations are the same, where not, and figures of both."""
    found = diff.compare(desk.db, a, b)
    heads = {"a": head(desk, a), "b": head(desk, b)}
    return {**found, **heads, "url": addresses.diff(a, b)}


ENDPOINTS = (
    Endpoint(
        "/diff/{a}...{b}",
        compared,
        (
            dataclasses.replace(TRACE_ID, name="a"),
            dataclasses.replace(TRACE_ID, name="b"),
        ),
    ),
)
