"""The addresses of what the viewer shows; each object of the API carries its own."""

from __future__ import annotations

from urllib.parse import quote, urlencode


def trace(trace_id: str, span_id: str | None = None) -> str:
    """Return where a trace is shown, at a span of it."""
    return f"/trace/{trace_id}" + (f"?span={span_id}" if span_id else "")


def job(job_id: str, filter_text: str = "") -> str:
    """Return where a job is shown, or those of its episodes that a filter leaves."""
    query = f"?{urlencode({'q': filter_text})}" if filter_text else ""
    return f"/job/{quote(job_id, safe='')}{query}"


def diff(one: str, other: str) -> str:
    """Return where two traces are shown side by side."""
    return f"/diff/{one}...{other}"
