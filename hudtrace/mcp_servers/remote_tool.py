"""A tool of an MCP server, as it was listed, and what its calls return."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hudtrace.nulls import without_stray_nulls
from hudtrace.schema import Parameters
from hudtrace.tools import ContentBlock, Tool, ToolCall, ToolResult, digest_of

Call = Callable[[str, dict[str, Any]], Awaitable[ToolResult]]


class RemoteTool(Tool):
    """A tool that a server runs; the server checks the arguments.

    `remote_name` is what the server calls it.
    """

    def __init__(self, definition: Any, name: str, call: Call) -> None:
        from pydantic import BaseModel

        plain = definition.model_dump(by_alias=True, exclude_none=True, mode="json")
        self.remote_name: str = plain["name"]

        async def function(**arguments: Any) -> ToolResult:
            return await call(self.remote_name, arguments)

        schema = dict(plain.get("inputSchema") or {})
        schema.setdefault("type", "object")
        schema.setdefault("properties", {})
        super().__init__(
            function,
            Parameters(schema, BaseModel, {}, True),
            name=name,
            description=plain.get("description") or plain.get("title") or "",
            run_in="loop",
        )
        # Overrides the hash of a source that is not here.
        self.digest = digest_of(name, json.dumps(plain, sort_keys=True))

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return *arguments* without the nulls that strict mode makes a model send."""
        pruned: dict[str, Any] = without_stray_nulls(dict(arguments), self.input_schema)
        return pruned

    def read_text(self, call: ToolCall) -> ToolCall:
        """Return *call* with its free text as an argument; see `Tool.read_text`."""
        required = self.input_schema.get("required") or ()
        known = all(name in self.input_schema["properties"] for name in required)
        return super().read_text(call) if known else call


def result_of(answer: Any) -> ToolResult:
    """Read a `CallToolResult`: its blocks as they are, its structured content too."""
    plain = answer.model_dump(by_alias=True, exclude_none=True, mode="json")
    content: list[ContentBlock] = list(plain.get("content") or ())
    structured = getattr(answer, "structured_content", None)
    if structured is None:
        structured = getattr(answer, "structuredContent", None)
    if not content and structured is not None:
        text = json.dumps(structured, ensure_ascii=False)
        content = [{"type": "text", "text": text}]
    value = structured
    if value is None and len(content) == 1 and content[0]["type"] == "text":
        value = content[0]["text"]
    return ToolResult(content, value, is_error=bool(plain.get("isError")))
