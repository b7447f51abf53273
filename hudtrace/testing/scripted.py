"""A scripted model: a real HTTP server that answers as it is told to.

It speaks OpenAI Chat Completions, streamed or not, on a loopback port of its
own, and checks requests about as strictly as the real API. Its model name
says what it is. For tests, demos and benchmarks: nothing here thinks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hudtrace.dialects import openai_chat
from hudtrace.messages import Message, ModelReply, Part, Usage, text_of
from hudtrace.testing.validation import BadRequest, check_chat_request

MODEL = "scripted-1"
Json = dict[str, Any]
_SSE = "text/event-stream; charset=utf-8"
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


@dataclass(frozen=True)
class ScriptedReply:
    """One answer: text, tool calls, or an error; and what goes wrong on the way.

    `delay` is seconds before the answer, `chunk_delay` seconds between the
    chunks of a stream. `cut_after` breaks the connection after so many chunks
    (of a stream) or bytes (of a body). `raw` is sent as the body as it is.
    """

    text: str = ""
    calls: tuple[Part, ...] = ()
    usage: Usage | None = None
    reasoning: str = ""
    finish: str | None = None
    status: int = 200
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    chunk_delay: float = 0.0
    cut_after: int | None = None
    raw: bytes | None = None

    def but(self, **changes: Any) -> ScriptedReply:
        """Return this reply with some fields changed: `say("x").but(delay=1)`."""
        return replace(self, **changes)


def say(text: str, **options: Any) -> ScriptedReply:
    """Answer with *text*."""
    return ScriptedReply(text=text, **options)


def call(*calls: tuple[str, Mapping[str, Any] | str], text: str = "") -> ScriptedReply:
    """Ask for tool calls: `call(("lookup", {"name": "x"}), ...)`.

    Arguments given as text are sent as they are, for broken JSON.
    """
    parts = [
        Part(type="tool_call", id=None, name=name, arguments=arguments)
        for name, arguments in calls
    ]
    return ScriptedReply(text=text, calls=tuple(parts))


def error(
    status: int, message: str = "scripted error", *, retry_after: float | None = None
) -> ScriptedReply:
    """Answer with an HTTP error, in the API's own form."""
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    return ScriptedReply(status=status, message=message, headers=headers)


Script = Sequence[ScriptedReply] | Callable[[Json], ScriptedReply]


class ScriptedModel:
    """The server: `with ScriptedModel([say("hello")]) as model: model.url`.

    *script* is a list of replies, given in the order of the requests, or a
    function of the request's JSON body. `requests` holds the bodies received.
    """

    def __init__(self, script: Script, *, model: str = MODEL) -> None:
        if "scripted" not in model:
            raise ValueError(f"model={model!r}: the name must say that it is scripted")
        self.model = model
        self.requests: list[Json] = []
        self._script = script
        self._next = 0
        self._answered = 0
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """The base URL to give a client, `/v1` included."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def origin(self) -> str:
        """The server's address without a path."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, port: int = 0) -> ScriptedModel:
        """Serve on *port* (0 takes a free one) until `close`."""
        self.port = port
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()),
            name="scripted-model",
            daemon=True,
        )
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def close(self) -> None:
        """Stop serving; open connections are dropped."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(5)

    def __enter__(self) -> ScriptedModel:
        """Start serving."""
        return self.start()

    def __exit__(self, *exc: object) -> None:
        """Stop serving."""
        self.close()

    async def __aenter__(self) -> ScriptedModel:
        """Start serving, on a thread of its own."""
        return self.start()

    async def __aexit__(self, *exc: object) -> None:
        """Stop serving."""
        self.close()

    # Serving -----------------------------------------------------------------

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            server = await asyncio.start_server(
                self._connection, "127.0.0.1", self.port, limit=1 << 26, backlog=1024
            )
        except OSError as failure:
            self._failure = failure
            self._ready.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; return whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = head.split(" ", 2)
        length = re.search(r"(?i)\r\ncontent-length: *(\d+)", head)
        body = await reader.readexactly(int(length.group(1)) if length else 0)
        if not path.partition("?")[0].endswith("/chat/completions"):
            return self._send_error(writer, 404, f"unknown path {path}")
        if method != "POST":
            return self._send_error(writer, 405, f"{method} is not allowed here")
        try:
            request = json.loads(body)
            check_chat_request(request)
        except BadRequest as bad:
            return self._send_error(writer, 400, str(bad), param=bad.param)
        except ValueError as bad:
            return self._send_error(writer, 400, f"the body is not JSON: {bad}")
        self.requests.append(request)
        return await self._answer(writer, request, self._reply_to(request))

    def _reply_to(self, request: Json) -> ScriptedReply:
        if callable(self._script):
            return self._script(request)
        position, self._next = self._next, self._next + 1
        if position >= len(self._script):
            return error(400, f"the script has only {len(self._script)} replies")
        return self._script[position]

    async def _answer(
        self, writer: asyncio.StreamWriter, request: Json, reply: ScriptedReply
    ) -> bool:
        if reply.delay:
            await asyncio.sleep(reply.delay)
        if reply.status != 200:
            return self._send_error(
                writer, reply.status, reply.message, headers=reply.headers
            )
        answer = self._model_reply(request, reply)
        if request.get("stream"):
            return await self._send_stream(writer, request, reply, answer)
        body = reply.raw
        if body is None:
            written = openai_chat.write_response(answer, created=int(time.time()))
            body = json.dumps(written).encode()
        self._send_head(writer, 200, "application/json", len(body), reply.headers)
        writer.write(body[: reply.cut_after])
        await writer.drain()
        return reply.cut_after is None

    async def _send_stream(
        self,
        writer: asyncio.StreamWriter,
        request: Json,
        reply: ScriptedReply,
        answer: ModelReply,
    ) -> bool:
        self._send_head(writer, 200, _SSE, None, reply.headers)
        options = request.get("stream_options") or {}
        chunks = openai_chat.write_chunks(
            answer,
            include_usage=bool(options.get("include_usage")),
            created=int(time.time()),
            split=_words,
        )
        for position, chunk in enumerate(chunks):
            if position == reply.cut_after:
                return False
            data = reply.raw or json.dumps(chunk, separators=(",", ":")).encode()
            _send_chunk(writer, b"data: " + data + b"\n\n")
            if reply.chunk_delay:
                await writer.drain()
                await asyncio.sleep(reply.chunk_delay)
        _send_chunk(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    def _model_reply(self, request: Json, reply: ScriptedReply) -> ModelReply:
        self._answered += 1
        number = self._answered
        calls = [
            Part(**{**part, "id": part.get("id") or f"call_{number}_{index}"})
            for index, part in enumerate(reply.calls)
        ]
        parts: list[Part] = []
        if reply.reasoning:
            parts.append({"type": "reasoning", "content": reply.reasoning})
        if reply.text:
            parts.append({"type": "text", "content": reply.text})
        message: Message = {"role": "assistant", "parts": [*parts, *calls]}
        finish = reply.finish or ("tool_call" if calls else "stop")
        return ModelReply(
            [message],
            [finish],
            id=f"chatcmpl-scripted-{number}",
            model=self.model,
            usage=reply.usage or _estimated_usage(request, message),
        )

    def _send_error(
        self,
        writer: asyncio.StreamWriter,
        status: int,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bool:
        kind = "invalid_request_error" if status < 500 else "server_error"
        fault = {"message": message, "type": kind, "param": param, "code": None}
        body = json.dumps({"error": fault}).encode()
        self._send_head(writer, status, "application/json", len(body), headers or {})
        writer.write(body)
        return True

    def _send_head(
        self,
        writer: asyncio.StreamWriter,
        status: int,
        kind: str,
        length: int | None,
        headers: Mapping[str, str],
    ) -> None:
        size = (
            "transfer-encoding: chunked"
            if length is None
            else f"content-length: {length}"
        )
        extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        reason = _REASONS.get(status, "Scripted")
        writer.write(
            f"HTTP/1.1 {status} {reason}\r\ncontent-type: {kind}\r\n{size}\r\n"
            f"x-request-id: req-scripted-{len(self.requests)}\r\n{extra}\r\n".encode()
        )


def _send_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))


def _words(text: str) -> Iterator[str]:
    yield from re.findall(r"\s*\S+\s*$|\s*\S+", text) or ([text] if text else [])


def _estimated_usage(request: Json, message: Message) -> Usage:
    """Count about four characters to a token, as nobody told us better."""
    sent = sum(len(str(m.get("content") or "")) for m in request["messages"])
    said = len(text_of(message)) + sum(len(str(p)) for p in message["parts"][1:])
    return Usage(input_tokens=sent // 4 + 1, output_tokens=said // 4 + 1)


def last_text(request: Json) -> str:
    """Return the text of the last message of a request: for script functions."""
    content = request["messages"][-1].get("content")
    return content if isinstance(content, str) else json.dumps(content)


def tool_results(request: Json) -> list[str]:
    """Return the tool results in a request, oldest first: for script functions."""
    return [str(m["content"]) for m in request["messages"] if m["role"] == "tool"]


def names_of(tools: Iterable[Json]) -> list[str]:
    """Return the names of the tools that a request offers."""
    return [tool["function"]["name"] for tool in tools]
