"""The addresses of what the viewer shows; each object of the API carries its own."""

from __future__ import annotations

from urllib.parse import quote, urlencode


def trace(trace_id: str, span_id: str | None = None) -> str:
    """Return where a trace is shown, at a span of it."""
    return f"/trace/{trace_id}" + (f"?span={span_id}" if span_id else "")


def job(job_id: str) -> str:
    """Return where a job is shown."""
    return f"/job/{quote(job_id, safe='')}"


def diff(one: str, other: str) -> str:
    """Return where two traces are shown side by side."""
    return f"/diff/{one}...{other}"


def search(text: str) -> str:
    """Return where what is found of *text* is shown."""
    return f"/search?{urlencode({'q': text})}"
