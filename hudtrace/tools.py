"""Tools: their schema, their calls, and their results."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import functools
import hashlib
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from hudtrace.errors import ConfigurationError, ToolError
from hudtrace.messages import encodable, named, named_numbers
from hudtrace.schema import Parameters, parameters_of, summary_of
from hudtrace.threads import EpisodeThread, tool_threads

RunIn = Literal["thread", "loop", "episode_thread"]
#: What MCP servers call their tools.
_NAME = re.compile(r"[A-Za-z0-9_./-]{1,128}")


class ContentBlock(TypedDict):
    """One piece of a result, in the shape that MCP gives it."""

    type: str  # text | image | audio | resource | resource_link
    text: NotRequired[str]
    data: NotRequired[str]  # base64
    mimeType: NotRequired[str]
    resource: NotRequired[Any]
    uri: NotRequired[str]
    name: NotRequired[str]


class Image:
    """An image for a model to see: return it from a tool.

    From bytes with a MIME type, or from a file by `Image.open`.
    """

    def __init__(self, data: bytes, mime_type: str = "image/png") -> None:
        self.data = bytes(data)
        self.mime_type = mime_type

    @classmethod
    def open(cls, path: str | Path) -> Image:
        """Read an image file; its suffix tells the MIME type."""
        file = Path(path)
        import mimetypes

        return cls(file.read_bytes(), mimetypes.guess_type(file)[0] or "image/png")

    def block(self) -> ContentBlock:
        """Return the image as a content block."""
        encoded = base64.b64encode(self.data).decode("ascii")
        return {"type": "image", "data": encoded, "mimeType": self.mime_type}

    def __repr__(self) -> str:
        return f"Image({len(self.data)} bytes, {self.mime_type})"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as it was read from some format.

    `arguments` is None and `problem` says why, in words for the model, where
    they could not be read. `native` is the object that came in. `text` is what a
    custom call of OpenAI has instead of arguments: free text.
    """

    name: str
    arguments: dict[str, Any] | None
    id: str | None = None
    problem: str | None = None
    native: object = None
    text: str | None = None


@dataclass(slots=True)
class ToolResult:
    """What a tool returned: content blocks, the value itself, or an error."""

    content: list[ContentBlock]
    value: Any = None
    is_error: bool = False
    truncated: bool = False
    _text: str | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, value: Any) -> ToolResult:
        """Make a result of whatever a tool returned.

        Content blocks, images and bytes are blocks, also in a list with texts
        between them; anything else is JSON, in which a number that is not finite is
        text: `"NaN"`, `"Infinity"`, `"-Infinity"`. Images inside of a dict or a model
        are named in its JSON, `[image 1: image/png, 70 bytes]`, and come after it.
        """
        if isinstance(value, ToolResult):
            return value
        if isinstance(value, str):
            text = encodable(value)
            return cls([{"type": "text", "text": text}], text, _text=text)
        blocks = _blocks(value)
        if blocks is not None:
            return cls(blocks)
        plain, images = _plain(value)
        plain = named_numbers(plain)
        written = plain if isinstance(plain, str) else _json(plain)
        text = encodable(written)
        if text != written:
            plain = text if isinstance(plain, str) else json.loads(text)
        content: list[ContentBlock] = [{"type": "text", "text": text}]
        content += [image.block() for image in images]
        return cls(content, plain, _text=None if images else text)

    @classmethod
    def error(cls, text: str) -> ToolResult:
        """Make a result that tells the model what went wrong."""
        return cls([{"type": "text", "text": encodable(text)}], None, is_error=True)

    def plain(self) -> Any:
        """Return the value, or the content where there is none.

        Raises `ToolError` if this is an error.
        """
        if self.is_error:
            raise ToolError(self.text)
        return self.content if self.value is None else self.value

    @property
    def text(self) -> str:
        """The result as text; images and the like are named, not shown."""
        if self._text is None:
            self._text = "\n".join(map(_block_text, self.content))
        return self._text


class Tool:
    """A function that a model can call.

    `input_schema` is the JSON Schema of the arguments. `run_in` says where it
    runs: `thread` (a worker thread), `loop` (the event loop), or
    `episode_thread` (one thread for all such tools of an episode). `timeout`
    is in seconds; `parallel=False` runs its calls one after the other within
    an episode; results longer than `max_result_bytes` are cut.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        parameters: Parameters,
        *,
        name: str,
        description: str,
        run_in: RunIn,
        timeout: float | None = None,
        parallel: bool = True,
        max_result_bytes: int | None = None,
    ) -> None:
        self.function = function
        self.name = name
        self.description = description
        self.input_schema = parameters.schema
        self.run_in = run_in
        self.timeout = timeout
        self.parallel = parallel
        self.max_result_bytes = max_result_bytes
        self._parameters = parameters
        self._is_async = _returns_coroutine(function)

    @classmethod
    def from_function(
        cls,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        run_in: RunIn | None = None,
        timeout: float | None = None,
        parallel: bool = True,
        max_result_bytes: int | None = None,
    ) -> Tool:
        """Make a tool of a `def` or `async def`; of generators, the list of their items.

        Raises TypeError if its signature cannot be a tool's, ValueError if an
        option makes no sense. A name has letters, digits, `_`, `-`, `.` and `/`,
        128 at the most, as in MCP; APIs that take less refuse it on export.
        """
        is_async = _runs_in_loop(function)
        where = run_in or ("loop" if is_async else "thread")
        own_name: str = getattr(function, "__name__", type(function).__name__)
        label = own_name if name is None else name
        if where not in ("thread", "loop", "episode_thread"):
            raise ValueError(
                f"tool {label!r}: run_in={run_in!r}; it is 'thread', 'loop' or "
                f"'episode_thread'"
            )
        if is_async and where != "loop":
            raise ValueError(
                f"tool {label!r} is an async function, so it runs in the loop; "
                f"remove run_in={run_in!r}, or make it a plain def"
            )
        if not _NAME.fullmatch(label):
            raise ValueError(
                f"tool name {label!r}: it has letters, digits, '_', '-', '.' and '/', "
                f"1 to 128 of them; give one by @env.tool(name=...)"
            )
        return cls(
            function,
            parameters_of(function),
            name=label,
            description=summary_of(function) if description is None else description,
            run_in=where,
            timeout=timeout,
            parallel=parallel,
            max_result_bytes=max_result_bytes,
        )

    @functools.cached_property
    def digest(self) -> str:
        """A hash of the tool's source and schema."""
        return digest_of(source_of(self.function), self.name, _json(self.input_schema))

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Check and convert *arguments*; raises `InvalidArguments`."""
        return self._parameters.validate(arguments, self.name)

    def read_text(self, call: ToolCall) -> ToolCall:
        """Return *call* with its free text as the one text that the tool takes.

        As it came, where the text is such arguments itself, or the tool takes
        something else.
        """
        properties = self.input_schema["properties"]
        required = self.input_schema.get("required") or list(properties)
        if call.text is None or len(required) != 1:
            return call
        (name,) = required
        if properties[name].get("type") != "string" or (
            call.arguments or {}
        ).keys() == {name}:
            return call
        return dataclasses.replace(call, arguments={name: call.text}, problem=None)

    async def run(
        self, arguments: Mapping[str, Any], *, thread: EpisodeThread | None = None
    ) -> Any:
        """Call the function with validated *arguments* and return its value.

        Raises what the function raises, or TimeoutError. A thread that has
        timed out runs on; the error's `abandoned` is then True.
        """
        call = functools.partial(self.function, **arguments)
        if self.timeout is None:
            return await self._start(call, thread)
        try:
            async with asyncio.timeout(self.timeout) as deadline:
                return await self._start(call, thread)
        except TimeoutError as error:
            if not deadline.expired():
                raise  # the tool's own
            late = TimeoutError(f"tool {self.name} took longer than {self.timeout:g} s")
            late.abandoned = self.run_in != "loop"  # type: ignore[attr-defined]
            raise late from error

    def capped(self, result: ToolResult) -> ToolResult:
        """Return *result* with its text cut to `max_result_bytes`."""
        limit = self.max_result_bytes
        if limit is None or len(result.text.encode("utf-8", "replace")) <= limit:
            return result
        kept = result.text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")
        text = f"{kept}\n[cut: the result is longer than {limit} bytes]"
        return dataclasses.replace(
            ToolResult.of(text), is_error=result.is_error, truncated=True
        )

    async def _start(
        self, call: Callable[[], Any], thread: EpisodeThread | None
    ) -> Any:
        if self._is_async:
            return await call()
        collect = functools.partial(_collected, call)
        if self.run_in == "loop":
            value = collect()
        elif self.run_in == "episode_thread" and thread is not None:
            value = await thread.run(collect)
        else:
            value = await tool_threads().run(collect)
        if inspect.isasyncgen(value):
            async with contextlib.aclosing(value):
                return [item async for item in value]
        return await value if inspect.isawaitable(value) else value

    def __repr__(self) -> str:
        return f"Tool({self.name!r})"


def api_name(tool: Tool, pattern: str, api: str) -> str:
    """Return the tool's name; raises `ConfigurationError` if *api* refuses such a one."""
    if re.fullmatch(pattern, tool.name):
        return tool.name
    raise ConfigurationError(
        f"{api} takes no tool called {tool.name!r}: its names match {pattern}; rename it "
        f"with @env.tool(name=...), or leave it out with allowed_tools or exclude_tools "
        f"of the scenario"
    )


def unknown_tool_text(name: str, available: Iterable[str]) -> str:
    """Tell the model that there is no such tool, and which there are."""
    there = ", ".join(available)
    return f"unknown tool '{name}'; available: {there or 'none'}"


def exception_text(error: BaseException) -> str:
    """Tell the model what a tool raised: the type; the message of a `ToolError`."""
    if isinstance(error, ToolError):
        return str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        return str(error) or "the tool timed out"
    return f"the tool failed with {type(error).__name__}"


def digest_of(*texts: str) -> str:
    """Return 16 hexadecimal digits that change when any of *texts* changes."""
    hashed = hashlib.blake2b(digest_size=8)
    for text in texts:
        hashed.update(text.encode("utf-8", "replace") + b"\0")
    return hashed.hexdigest()


def source_of(function: Callable[..., Any]) -> str:
    """Return the source of *function*, or its compiled form where there is none."""
    target = inspect.unwrap(function)
    try:
        return inspect.getsource(target)
    except (OSError, TypeError):
        pass
    code = getattr(target, "__code__", None)
    if code is None:
        return repr(type(target))
    return _code_text(code)


def _code_text(code: Any) -> str:
    consts = [
        _code_text(c) if hasattr(c, "co_code") else repr(c) for c in code.co_consts
    ]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {consts}"


def _collected(call: Callable[[], Any]) -> Any:
    """Call, and where that makes a generator, run it here, where it belongs."""
    value = call()
    return list(value) if inspect.isgenerator(value) else value


def _runs_in_loop(function: Callable[..., Any]) -> bool:
    return _returns_coroutine(function) or inspect.isasyncgenfunction(
        inspect.unwrap(function)
    )


def _returns_coroutine(function: Callable[..., Any]) -> bool:
    target = inspect.unwrap(function)
    while isinstance(target, functools.partial):
        target = target.func
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(
        getattr(target, "__call__", None)  # noqa: B004  an instance with async __call__
    )


def _blocks(value: Any) -> list[ContentBlock] | None:
    """Read *value* as content blocks, None if it is something else.

    A list is blocks if it has one and its other items are texts, or one that
    JSON cannot show, like an image.
    """
    items = value if isinstance(value, list | tuple) else [value]
    blocks = [content_block(item) for item in items]
    found = [block for block in blocks if block is not None]
    plain = all(
        block is not None or isinstance(item, str)
        for item, block in zip(items, blocks, strict=True)
    )
    if not found or not (plain or any(block["type"] != "text" for block in found)):
        return None
    made: list[ContentBlock] = []
    for item, block in zip(items, blocks, strict=True):
        made += ToolResult.of(item).content if block is None else [block]
    return made


def content_block(value: Any) -> ContentBlock | None:
    """Read an `Image`, bytes or an MCP content block (object or dict), else None."""
    if isinstance(value, Image):
        return value.block()
    if isinstance(value, bytes | bytearray):
        return Image(bytes(value), _sniffed(bytes(value))).block()
    kind = getattr(value, "type", None)
    dump = getattr(value, "model_dump", None)
    if dump is not None and isinstance(kind, str) and kind in _BLOCK_KEYS:
        value = dump(by_alias=True, exclude_none=True, mode="json")
    if not isinstance(value, Mapping):
        return None
    kind = value.get("type")
    needed = _BLOCK_KEYS.get(kind) if isinstance(kind, str) else None
    if needed is None or not isinstance(value.get(needed), _NEEDED[needed]):
        return None
    block: Any = dict(value)
    if kind == "text":
        block["text"] = encodable(block["text"])
    return block  # type: ignore[no-any-return]


_BLOCK_KEYS = {
    "text": "text",
    "image": "data",
    "audio": "data",
    "resource": "resource",
    "resource_link": "uri",
}
_NEEDED = {"text": str, "data": str, "resource": Mapping, "uri": str}
_MAGIC = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


def _sniffed(data: bytes) -> str:
    for magic, mime_type in _MAGIC.items():
        if data.startswith(magic):
            return mime_type
    return "application/octet-stream"


def _block_text(block: ContentBlock) -> str:
    if block["type"] == "text":
        return block.get("text", "")
    if block["type"] == "resource":
        resource = block.get("resource") or {}
        return str(resource.get("text") or f"[resource {resource.get('uri', '')}]")
    if block["type"] == "resource_link":
        return f"[resource {block.get('uri', '')}]"
    data, mime_type = block.get("data"), block.get("mimeType")
    return named(
        {
            "type": "blob",
            "modality": block["type"],
            "mime_type": mime_type,
            "content": data,
        }
    )


def _plain(value: Any) -> tuple[Any, list[Image]]:
    """Return *value* as plain data for JSON, and the images in it.

    What has no such form is text; an image is named.
    """
    if value is None or isinstance(value, str | int | float | bool):
        return value, []
    from pydantic_core import to_jsonable_python

    images: list[Image] = []

    def other(thing: Any) -> str:
        if not isinstance(thing, Image):
            return str(thing)
        images.append(thing)
        label = f"{thing.mime_type}, {len(thing.data)} bytes"
        return f"[image {len(images)}: {label}]"

    encodings: tuple[Literal["utf8", "base64"], ...] = ("utf8", "base64")
    for encoding in encodings:
        images.clear()
        with contextlib.suppress(UnicodeError):  # bytes that are no text
            plain = to_jsonable_python(
                value,
                fallback=other,
                serialize_unknown=True,
                inf_nan_mode="constants",
                bytes_mode=encoding,
            )
            return plain, images
    # Halves of characters in a key.
    images.clear()
    return json.loads(json.dumps(value, default=other, skipkeys=True)), images


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
