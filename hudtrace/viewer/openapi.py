"""The OpenAPI document, made from the endpoints themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from hudtrace.viewer.endpoints import Endpoint
from hudtrace.viewer.problems import KIND

Json = dict[str, Any]
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


def document(endpoints: Iterable[Endpoint]) -> Json:
    """Return the document of *endpoints*."""
    from hudtrace import __version__

    return {
        "openapi": "3.1.0",
        "info": {
            "title": "hudtrace viewer",
            "version": __version__,
            "description": "Reads the traces of one store. Times are unix nanoseconds "
            "as strings; what is unknown is null.",
        },
        "paths": {
            f"{endpoint.root}{endpoint.path}": {"get": _operation(endpoint)}
            for endpoint in endpoints
        },
        "components": {
            "schemas": {"Problem": _PROBLEM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint) -> Json:
    said = inspect.getdoc(endpoint.answer) or ""
    kind = endpoint.media
    schema = {"type": "object"} if kind == "application/json" else {}
    return {
        "summary": said.partition("\n")[0],
        "parameters": [
            *(_parameter(place, "path") for place in endpoint.places),
            *(_parameter(parameter, "query") for parameter in endpoint.parameters),
        ],
        "responses": {
            "200": {"description": "the answer", "content": {kind: {"schema": schema}}},
            "default": {
                "description": "what is wrong",
                "content": {KIND: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    }


def _parameter(parameter: Any, where: str) -> Json:
    schema = dict(parameter.schema)
    if where == "query" and parameter.default not in (None, False):
        schema["default"] = parameter.default
    return {
        "name": parameter.name,
        "in": where,
        "required": where == "path",
        "description": parameter.says,
        "schema": schema,
    }
