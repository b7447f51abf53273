"""Jaeger, version 2: OTLP in, its query page for links."""

from __future__ import annotations

from collections.abc import Mapping

from hudtrace.backends import Adaptation, Content, Leaf
from hudtrace_exporters.otlp import Otlp


class Jaeger(Otlp):
    """A Jaeger that takes OTLP, by default on this machine.

    `ui` is the address of its query page, for the URLs of traces.
    """

    name = "jaeger"

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        protocol: str | None = None,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
        ui: str = "http://localhost:16686",
    ) -> None:
        super().__init__(endpoint, protocol=protocol, headers=headers, content=content)
        self._ui = ui.rstrip("/")

    def trace_url(self) -> str:
        """Return Jaeger's page of a trace, with the span marked."""
        return f"{self._ui}/trace/{{trace_id}}?uiFind={{span_id}}"

    def adapt(self, span: Leaf) -> Adaptation | None:
        """Put the verdict into the name of an eval: Jaeger lists traces by it."""
        if span.operation != "evaluate" or not span.is_root:
            return None
        verdict = span.attributes.get("test.case.result.status")
        if span.attributes.get("error.type") is not None:
            verdict = "error"
        return Adaptation(f"{span.name} {verdict}") if verdict else None
