"""Scenarios as MCP prompts: their arguments, and what they ask."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import mcp_types as types

from hudtrace.messages import Part, named

if TYPE_CHECKING:
    from hudtrace.scenario import Scenario

Json = dict[str, Any]


def prompt_of(scenario: Scenario[Any]) -> types.Prompt:
    """Return *scenario* as a prompt; arguments that are no texts are sent as JSON."""
    schema = scenario.parameters
    required = schema.get("required", ())
    arguments = [
        types.PromptArgument(
            name=name,
            description=_described(each, schema),
            required=name in required,
        )
        for name, each in schema.get("properties", {}).items()
    ]
    return types.Prompt(
        name=scenario.name,
        description=scenario.description or None,
        arguments=arguments,
    )


def arguments_of(scenario: Scenario[Any], texts: Mapping[str, str]) -> Json:
    """Read the arguments of a prompt, which the protocol has as texts.

    An empty one that is to be JSON has been left out, by a form to be filled in.
    """
    schema = scenario.parameters
    properties = schema.get("properties", {})
    read = {}
    for name, text in texts.items():
        if _is_text(properties.get(name, {}), schema):
            read[name] = text
        elif text.strip():
            read[name] = _read(text)
    return read


def blocks_of(prompt: Any) -> list[Any]:
    """Return a scenario's prompt as MCP content blocks."""
    if isinstance(prompt, str):
        return [types.TextContent(type="text", text=prompt)]
    return [_block(part) for part in prompt.parts]


def _block(part: Part) -> Any:
    content, mime_type = str(part.get("content")), part.get("mime_type")
    if part["type"] == "text":
        return types.TextContent(type="text", text=content)
    if part["type"] == "uri":
        uri = str(part.get("uri"))
        return types.ResourceLink(
            type="resource_link", uri=uri, name=uri[:80], mime_type=mime_type
        )
    if part["type"] != "blob":
        return types.TextContent(type="text", text=named(part))
    if part.get("modality") == "image":
        return types.ImageContent(
            type="image", data=content, mime_type=mime_type or "image/png"
        )
    if part.get("modality") == "audio":
        return types.AudioContent(
            type="audio", data=content, mime_type=mime_type or "audio/wav"
        )
    file = types.BlobResourceContents(
        uri="prompt://file", blob=content, mime_type=mime_type
    )
    return types.EmbeddedResource(type="resource", resource=file)


def _described(each: Json, schema: Json) -> str | None:
    said = each.get("description")
    if _is_text(each, schema):
        return said
    kind = each.get("type")
    form = f"{kind}, as JSON" if isinstance(kind, str) else "as JSON"
    return f"{said} ({form})" if said else f"({form})"


def _is_text(each: Any, schema: Json) -> bool:
    """Say whether an argument of this schema may be a text, or anything at all."""
    if not isinstance(each, Mapping):
        return True
    if "$ref" in each:
        definitions = schema.get("$defs", {})
        return _is_text(definitions.get(str(each["$ref"]).rpartition("/")[2]), schema)
    choices = each.get("anyOf") or each.get("oneOf") or each.get("allOf")
    if choices:
        return any(_is_text(choice, schema) for choice in choices)
    values = each.get("enum", [each["const"]] if "const" in each else None)
    if values is not None:
        return any(isinstance(value, str) for value in values)
    kind = each.get("type")
    return kind is None or "string" in ([kind] if isinstance(kind, str) else kind)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text  # refused with the reason, by what checks the arguments
