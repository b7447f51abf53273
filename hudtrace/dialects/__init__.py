"""Wire formats: each translates one provider's JSON to messages and back.

A dialect is a module with these functions, pure and without any SDK:
`export` (tools), `parse` and `reply` (tool calls), `read_request`,
`read_response`, `StreamFold`, `delta_text` (what a model was asked and said),
and `write_request`, `write_messages`, `write_results`, `write_response`,
`write_chunks` (the way back).

Each is imported when it is first used: `dialects.openai_chat`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hudtrace.dialects import anthropic_messages as anthropic_messages
    from hudtrace.dialects import gemini as gemini
    from hudtrace.dialects import openai_chat as openai_chat
    from hudtrace.dialects import openai_responses as openai_responses

    DIALECTS: tuple[Any, ...]

_NAMES = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")


def __getattr__(name: str) -> Any:
    if name == "DIALECTS":
        return tuple(import_module(f"{__name__}.{each}") for each in _NAMES)
    if name in _NAMES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
