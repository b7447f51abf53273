"""What the service of a resource is called, also where it has no name of its own.

The names are those of Jaeger, so that its clients find the same here.
"""

from __future__ import annotations

from typing import Any, Final

from hudtrace import semconv

MISSING: Final = "missing-service-name"
EMPTY: Final = "empty-service-name"
NO_TEXT: Final = "service-name-wrong-type"
INVENTED: Final = frozenset({MISSING, EMPTY, NO_TEXT})


def service_of(resource: Any) -> str:
    """Return the service of an OTLP `Resource`."""
    for pair in resource.attributes:
        if pair.key == semconv.SERVICE_NAME:
            if pair.value.WhichOneof("value") != "string_value":
                return NO_TEXT
            return str(pair.value.string_value) or EMPTY
    return MISSING
