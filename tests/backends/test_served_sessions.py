"""Sessions of a scenario server, seen through a real Jaeger."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from server_kit import SPANS, converse_at_once, repeat, serve

import hudtrace as hud

__all__ = ["serve"]
SESSIONS = 200


@pytest.mark.slow
async def test_every_session_is_a_whole_trace(
    tmp_path: Path, jaeger: Any, serve: Any
) -> None:
    """Of 200 sessions at once, each is there with all its spans, below one root."""
    from hudtrace_exporters.jaeger import Jaeger

    backend = Jaeger(jaeger.http, ui=jaeger.ui)
    hud.configure(store=tmp_path / "served.db", exporters=[backend], quiet=True)
    reports = await converse_at_once(serve(repeat), SESSIONS)
    assert await asyncio.to_thread(hud.flush, 60)
    for report in reports:
        assert report["trace_url"].startswith(jaeger.ui)
        spans = jaeger.wait_for(report["trace_id"], len(SPANS))
        names = sorted(span["name"].removesuffix(" pass") for span in spans)
        assert names == SPANS
        ids = {span["spanId"] for span in spans}
        above = [span.get("parentSpanId") for span in spans]
        assert sum(not parent for parent in above) == 1
        assert all(parent in ids for parent in above if parent)
