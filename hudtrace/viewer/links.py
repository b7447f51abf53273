"""Where else a trace can be looked at: the backends that spans are sent to."""

from __future__ import annotations

from typing import Any

from hudtrace import settings
from hudtrace.backends import Backend
from hudtrace.errors import ConfigurationError
from hudtrace.runtime import chosen_backends


class Links:
    """Addresses in other viewers, as far as those are configured here."""

    def __init__(self) -> None:
        try:
            backends = chosen_backends(settings.load())
        except ConfigurationError:
            backends = []  # the viewer needs none of them
        self.templates = {
            backend.name: template
            for backend in backends
            if (template := _template(backend)) is not None
        }

    def of(self, trace_id: str, span_id: str) -> list[dict[str, Any]]:
        """Return the name and address of a trace in each of them."""
        return [
            {
                "name": name,
                "url": template.replace("{trace_id}", trace_id).replace(
                    "{span_id}", span_id
                ),
            }
            for name, template in self.templates.items()
        ]


def _template(backend: Backend) -> str | None:
    try:
        return backend.trace_url()
    except Exception:  # a plug-in's
        return None
