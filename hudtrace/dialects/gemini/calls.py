"""Tools and function calls of Gemini, of the REST API and of both libraries."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from hudtrace.dialects.fields import get, json_kind
from hudtrace.dialects.gemini.schemas import gemini_schema
from hudtrace.dialects.gemini.wires import dict_of
from hudtrace.tools import Tool, ToolCall, ToolResult, api_name

Json = dict[str, Any]
#: What the API lets a tool be called.
NAMES = r"[a-zA-Z_][a-zA-Z0-9_:.-]{0,63}"
MODES = ("AUTO", "ANY", "NONE", "VALIDATED")
_LIBRARIES = ("google.genai.", "google.ai.generativelanguage")
_CALL_KEYS = {
    *("id", "name", "args"),
    *("partialArgs", "partial_args", "willContinue", "will_continue"),
}


def export(tools: Iterable[Tool]) -> list[Json]:
    """Return *tools* in this format: one tool that declares each as a function.

    Both libraries take it, and so does the REST API: a program that has loaded
    google.generativeai gets schemas without `any_of`, which it does not know.
    """
    declarations = [_declare(tool) for tool in tools]
    return [{"function_declarations": declarations}] if declarations else []


def _declare(tool: Tool) -> Json:
    declaration: Json = {
        "name": api_name(tool, NAMES, "Gemini"),
        "description": tool.description,
    }
    older = "google.generativeai" in sys.modules
    parameters = gemini_schema(tool.input_schema, alternatives=not older)
    if parameters.get("properties"):  # an object without any is refused
        declaration["parameters"] = parameters
    return declaration


def tool_config(mode: str = "AUTO", allowed_tools: Iterable[str] | None = None) -> Json:
    """Return how the model may call: AUTO, ANY (it must), NONE or VALIDATED.

    *allowed_tools* names the functions that it may choose from, which goes
    with ANY and VALIDATED only. The older library knows no VALIDATED.
    """
    chosen = mode.upper()
    if chosen not in MODES:
        raise ValueError(f"mode={mode!r}: it is one of {', '.join(MODES)}")
    config: Json = {"mode": chosen}
    if allowed_tools is not None:
        if chosen not in ("ANY", "VALIDATED"):
            raise ValueError(
                f"allowed_tools with mode={mode!r}: Gemini takes them with 'ANY' or "
                f"'VALIDATED' only"
            )
        config["allowed_function_names"] = list(allowed_tools)
    return {"function_calling_config": config}


def parse(native: object) -> ToolCall | None:
    """Read a function call or the part that holds it; None if it is something else.

    Many of these calls have no id; then neither has the `ToolCall`.
    """
    call = _call_in(native)
    if call is None:
        return None
    name, arguments = call.get("name"), call.get("args")
    if not isinstance(name, str) or not name or "arguments" in call:
        return None
    call_id = call.get("id")
    problem = None
    if arguments is not None and not isinstance(arguments, Mapping):
        problem = f"the arguments are {json_kind(arguments)}; send a JSON object"
    return ToolCall(
        name,
        None if problem else dict(arguments or {}),
        call_id if isinstance(call_id, str) and call_id else None,
        problem,
        native,
    )


def _call_in(native: Any) -> Json | None:
    if isinstance(native, dict):
        for key in ("functionCall", "function_call"):
            inner = native.get(key)
            if isinstance(inner, dict) or _is_ours(inner):
                return dict_of(inner)
        bare = "args" in native and "name" in native and not set(native) - _CALL_KEYS
        return native if bare else None
    if not _is_ours(native):
        return None
    kind = type(native).__name__
    if kind == "FunctionCall":
        return dict_of(native)
    # An unset member of a protobuf part is there, but false.
    inner = get(native, "function_call") if kind == "Part" else None
    return dict_of(inner) if inner else None


def _is_ours(thing: object) -> bool:
    return f"{type(thing).__module__}.".startswith(_LIBRARIES)


def reply(call: ToolCall, result: ToolResult) -> Any:
    """Return *result* as the part that answers *call*, in the types it came in."""
    response = {"error" if result.is_error else "result": result.text}
    native = call.native
    if _is_ours(native):
        answered = _as_object(native, call, response, result)
        if answered is not None:
            return answered
    answer: Json = {} if call.id is None else {"id": call.id}
    answer |= {"name": call.name, "response": response}
    images = _images(result)
    if isinstance(native, dict) and _is_camel(native):
        if images:
            answer["parts"] = [
                {"inlineData": {"mimeType": mime, "data": data}}
                for mime, data in images
            ]
        return {"functionResponse": answer}
    if images:
        answer["parts"] = [
            {"inline_data": {"mime_type": mime, "data": data}} for mime, data in images
        ]
    return {"function_response": answer}


def _as_object(native: Any, call: ToolCall, response: Json, result: ToolResult) -> Any:
    # The classes beside the one that the call came in, whichever library's.
    types: Any = sys.modules.get(type(native).__module__)
    if not hasattr(types, "FunctionResponse"):
        return None
    answer: Json = {"name": call.name, "response": response}
    if call.id is not None:
        answer["id"] = call.id
    images = _images(result)
    if images and hasattr(types, "FunctionResponsePart"):
        answer["parts"] = [
            {"inline_data": {"mime_type": mime, "data": data}} for mime, data in images
        ]
    return types.Part(function_response=types.FunctionResponse(**answer))


def _is_camel(native: Json) -> bool:
    return "functionCall" in native or bool(
        {"partialArgs", "willContinue"} & set(native)
    )


def _images(result: ToolResult) -> list[tuple[str, str]]:
    """Return the MIME type and base64 of each image of a result."""
    return [
        (block.get("mimeType", "image/png"), block.get("data", ""))
        for block in result.content
        if block["type"] == "image"
    ]
