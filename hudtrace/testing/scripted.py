"""A scripted model: a real HTTP server that answers as it is told to.

It speaks the wire formats of `hudtrace.testing.apis`, streamed or not, on a
loopback port of its own, and checks requests about as strictly as the real
APIs. Its model name says what it is. For tests, demos and benchmarks: nothing
here thinks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import Mapping
from typing import Any

from hudtrace.messages import Message, ModelReply, Part, Usage, text_of
from hudtrace.testing.apis import APIS, Api
from hudtrace.testing.apis.refusals import BadRequest
from hudtrace.testing.scripts import Script, ScriptedReply, ScriptedRequest, error

MODEL = "scripted-1"
Json = dict[str, Any]
_SSE = "text/event-stream; charset=utf-8"
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


class ScriptedModel:
    """The server: `with ScriptedModel([say("hello")]) as model: model.url`.

    *script* is a list of replies, given in the order of the requests, or a
    function of the request (its JSON body, a `ScriptedRequest`). `requests`
    holds the bodies received.
    """

    def __init__(self, script: Script, *, model: str = MODEL) -> None:
        if "scripted" not in model:
            raise ValueError(f"model={model!r}: the name must say that it is scripted")
        self.model = model
        self.requests: list[Json] = []
        self._script = script
        self._apis: list[Api] = [api() for api in APIS]
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
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; return whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = head.split(" ", 2)
        length = re.search(r"(?i)\r\ncontent-length: *(\d+)", head)
        body = await reader.readexactly(int(length.group(1)) if length else 0)
        api = next((a for a in self._apis if a.matches(method, path)), None)
        if api is None:
            refused = BadRequest(f"unknown path {path}", status=404)
            return self._refuse(writer, self._apis[0], refused)
        try:
            accepted = api.accept(method, path, json.loads(body) if body else {})
            request = ScriptedRequest(accepted, api.dialect)
            known = api.recall(method, path, request)
        except BadRequest as bad:
            return self._refuse(writer, api, bad)
        except ValueError as bad:
            problem = BadRequest(f"the body is not JSON: {bad}")
            return self._refuse(writer, api, problem)
        if known is not None:
            return self._send_body(writer, json.dumps(known).encode())
        self.requests.append(request)
        return await self._answer(writer, api, request, self._reply_to(request))

    def _reply_to(self, request: ScriptedRequest) -> ScriptedReply:
        if callable(self._script):
            return self._script(request)
        position, self._next = self._next, self._next + 1
        if position >= len(self._script):
            return error(400, f"the script has only {len(self._script)} replies")
        return self._script[position]

    async def _answer(
        self,
        writer: asyncio.StreamWriter,
        api: Api,
        request: ScriptedRequest,
        reply: ScriptedReply,
    ) -> bool:
        if reply.delay:
            await asyncio.sleep(reply.delay)
        if reply.status != 200:
            fault = BadRequest(reply.message, status=reply.status)
            return self._refuse(writer, api, fault, reply.headers)
        answer = self._model_reply(api, request, reply)
        if request.get("stream"):
            return await self._send_stream(writer, api, request, reply, answer)
        body = reply.raw
        if body is None:
            body = json.dumps(api.body(answer, request)).encode()
        whole = self._send_body(writer, body, reply)
        await writer.drain()
        return whole

    async def _send_stream(
        self,
        writer: asyncio.StreamWriter,
        api: Api,
        request: ScriptedRequest,
        reply: ScriptedReply,
        answer: ModelReply,
    ) -> bool:
        self._send_head(writer, 200, _SSE, None, reply.headers)
        events = api.events(answer, request)
        if reply.raw is not None:
            events = iter([b"data: " + reply.raw + b"\n\n"])
        for position, event in enumerate(events):
            if position == reply.cut_after:
                return False
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            if reply.chunk_delay:
                await writer.drain()
                await asyncio.sleep(reply.chunk_delay)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    def _model_reply(
        self, api: Api, request: ScriptedRequest, reply: ScriptedReply
    ) -> ModelReply:
        self._answered += 1
        number = self._answered
        calls = [
            Part(**{**part, "id": part.get("id") or f"{api.call_id}{number}_{index}"})
            for index, part in enumerate(reply.calls)
        ]
        parts: list[Part] = list(reply.parts)
        if reply.reasoning:
            parts.append({"type": "reasoning", "content": reply.reasoning})
        if reply.text:
            parts.append({"type": "text", "content": reply.text})
        message: Message = {"role": "assistant", "parts": [*parts, *calls]}
        finish = reply.finish or ("tool_call" if calls else "stop")
        return ModelReply(
            [message],
            [finish],
            id=f"{api.reply_id}scripted-{number}",
            model=self.model,
            usage=reply.usage or _estimated_usage(request, message),
        )

    def _refuse(
        self,
        writer: asyncio.StreamWriter,
        api: Api,
        bad: BadRequest,
        headers: Mapping[str, str] | None = None,
    ) -> bool:
        body = json.dumps(api.error_body(bad.status, str(bad), bad.param)).encode()
        kind = "application/json"
        self._send_head(writer, bad.status, kind, len(body), headers or {})
        writer.write(body)
        return True

    def _send_body(
        self,
        writer: asyncio.StreamWriter,
        body: bytes,
        reply: ScriptedReply | None = None,
    ) -> bool:
        reply = reply or ScriptedReply()
        self._send_head(writer, 200, "application/json", len(body), reply.headers)
        writer.write(body[: reply.cut_after])
        return reply.cut_after is None

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


def _estimated_usage(request: ScriptedRequest, message: Message) -> Usage:
    """Count about four characters to a token, as nobody told us better."""
    sent = sum(len(str(m["parts"])) for m in request.conversation)
    said = len(text_of(message)) + sum(len(str(p)) for p in message["parts"][1:])
    return Usage(input_tokens=sent // 4 + 1, output_tokens=said // 4 + 1)
