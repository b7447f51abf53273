"""A model that costs next to nothing: prebuilt answers on a bare socket.

The measured process must not share its cores with a server that is as busy as it is.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CHUNKS = 50
URL = "HUDTRACE_BENCHMARK_MODEL"
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "lookup",
            "description": "Look something up.",
            "parameters": {
                "type": "object",
                "properties": {"name": {"type": "string"}},
                "required": ["name"],
                "additionalProperties": False,
            },
        },
    }
]
_HEAD = {
    "id": "chatcmpl-benchmark",
    "created": 1764000000,
    "model": "scripted-1",
    "system_fingerprint": "fp_benchmark",
}
_USAGE = {"prompt_tokens": 18, "completion_tokens": 5, "total_tokens": 23}


def _answer(message: dict[str, Any], reason: str) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": reason}
    plain = {**_HEAD, "object": "chat.completion", "choices": [choice]}
    return _http(json.dumps({**plain, "usage": _USAGE}).encode(), "application/json")


def _stream() -> bytes:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": "word "}] * CHUNKS
    events = [
        {**_HEAD, "object": "chat.completion.chunk", "choices": [choice]}
        for choice in [
            *({"index": 0, "delta": d, "finish_reason": None} for d in deltas),
            {"index": 0, "delta": {}, "finish_reason": "stop"},
        ]
    ]
    lines = [f"data: {json.dumps(event)}\n\n" for event in events]
    return _http("".join([*lines, "data: [DONE]\n\n"]).encode(), "text/event-stream")


def _http(body: bytes, kind: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "lookup", "arguments": '{"name": "HUD"}'},
}
CALL = _answer(
    {"role": "assistant", "content": None, "tool_calls": [_CALL]}, "tool_calls"
)
SAY = _answer({"role": "assistant", "content": "The initials are JR."}, "stop")
STREAM = _stream()


class Model(asyncio.Protocol):
    """Answers a chat completion: with a tool call first, after its result with text."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (head := self._buffer.find(b"\r\n\r\n")) >= 0:
            at = self._buffer.lower().find(b"content-length:", 0, head)
            length = int(self._buffer[at + 15 : self._buffer.find(b"\r\n", at)])
            end = head + 4 + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[head + 4 : end])
            del self._buffer[:end]
            if b'"stream":true' in body:
                self._transport.write(STREAM)
            else:
                self._transport.write(SAY if b'"role":"tool"' in body else CALL)


async def serve() -> None:
    """Serve until stdin closes; print the address first."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Model, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}/v1", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def model_server() -> Iterator[None]:
    """Run the model beside the contenders, which find it by its variable."""
    command = [sys.executable, "-m", "benchmarks.model"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        os.environ[URL] = server.stdout.readline().strip()
        try:
            yield
        finally:
            server.stdin.close()


def client(make: Any = None) -> Any:
    """Return a real client of the model server."""
    from openai import AsyncOpenAI

    return (make or AsyncOpenAI)(
        base_url=os.environ[URL], api_key="x", max_retries=0, timeout=60
    )


if __name__ == "__main__":
    asyncio.run(serve())
