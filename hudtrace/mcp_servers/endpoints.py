"""Where a server is: a command that speaks over its pipes, or an address.

Both are opened with the transports of the official package, of either generation.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hudtrace.errors import EnvironmentFailure

logger = logging.getLogger("hudtrace.mcp")
_TAIL = 12  # lines of a server's stderr that errors show
_CONNECT_SECONDS = 10.0
_WRITE_SECONDS = 30.0
_DELETE_SECONDS = 5.0

Streams = tuple[Any, Any]


class Signs:
    """What is seen of a server beside its messages: its stderr, HTTP statuses.

    `session_id` is the id of its HTTP session; None where there is none to lose.
    `refused` is the status of its last answer that was an error. `key_from` is where
    the key comes from that it may ask for.
    """

    def __init__(self, name: str) -> None:
        self.session_id: str | None = None
        self.refused: int | None = None
        self.key_from = "headers={'Authorization': 'Bearer …'}"
        self._name = name
        self._lines: deque[str] = deque(maxlen=_TAIL)
        self.status: str | None = None
        self._reader: threading.Thread | None = None

    @property
    def text(self) -> str:
        """What to add to an error: empty if nothing was seen."""
        if self._reader is not None:
            self._reader.join(0.2)  # what a process says last
        if self._lines:
            return "; its stderr ends:\n" + "\n".join(f"  {x}" for x in self._lines)
        if self.refused in (401, 403):
            return f"; it answered {self.status}: set the key by {self.key_from}"
        return f"; it answered {self.status}" if self.status else ""

    @contextlib.contextmanager
    def stderr(self) -> Any:
        """Give a file for a process's stderr: each line of it becomes a log line."""
        read, write = os.pipe()
        self._reader = threading.Thread(
            target=self._read, args=[read], name="hudtrace-mcp-stderr", daemon=True
        )
        self._reader.start()
        with open(write, "w") as file:  # noqa: PTH123  a descriptor
            yield file

    async def answered(self, response: Any) -> None:
        """Note the answer to an HTTP request."""
        self.session_id = response.headers.get("mcp-session-id") or self.session_id
        if response.status_code >= 400 and response.request.method == "POST":
            self.refused = response.status_code
            self.status = f"{response.status_code} {response.reason_phrase}".strip()

    def _read(self, descriptor: int) -> None:
        with open(descriptor, encoding="utf-8", errors="replace") as file:
            for line in file:
                text = line.rstrip()
                if text:
                    self._lines.append(text[:500])
                    logger.info("%s: %s", self._name, text)


@dataclass(frozen=True)
class Stdio:
    """A command that is started, and spoken to over its stdin and stdout."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None

    network = False

    @property
    def label(self) -> str:
        """The endpoint for people."""
        return f"command {' '.join(self.command)}"

    @property
    def name(self) -> str:
        """A name for the server, where the user gives none."""
        words = [word for word in self.command if not word.startswith("-")]
        interpreted = len(words) > 1 and Path(words[0]).stem.rstrip("0123456789.") in (
            *("python", "node", "uvx", "npx", "uv", "bun", "deno"),
        )
        return Path(words[1 if interpreted else 0]).stem if words else "mcp"

    @contextlib.asynccontextmanager
    async def open(self, signs: Signs) -> AsyncIterator[Streams]:
        """Start the process; it is ended at the end of the block."""
        from mcp import StdioServerParameters
        from mcp.client.stdio import stdio_client

        program, *arguments = self._argv()
        parameters = StdioServerParameters(
            command=program,
            args=arguments,
            env=dict(self.env) or None,
            cwd=self.cwd,
        )
        with contextlib.ExitStack() as files:
            errors = files.enter_context(signs.stderr())
            async with stdio_client(parameters, errlog=errors) as (read, write):
                files.close()  # the process has it
                yield read, write

    def _argv(self) -> list[str]:
        """Return the command, such that it does not outlive this process.

        A server whose pipe closes should end by itself. One that hangs does not:
        Linux is asked to tell it.
        """
        program = self.command[0]
        if Path(program).name != program:
            there = (Path(self.cwd or ".") / program).exists()
        else:
            there = shutil.which(program, path=self.env.get("PATH")) is not None
        if not there:
            raise EnvironmentFailure(f"there is no program {program!r}")
        ender = shutil.which("setpriv") if sys.platform == "linux" else None
        if ender is None:
            return list(self.command)
        return [ender, "--pdeathsig", "TERM", "--", *self.command]


@dataclass(frozen=True)
class Http:
    """A server at an address, over streamable HTTP."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    key_from: str | None = None  # where the key in the headers comes from

    network = True

    @property
    def label(self) -> str:
        """The address without what may be secret in it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def name(self) -> str:
        """A name for the server, where the user gives none."""
        return urlsplit(self.url).hostname or "mcp"

    @contextlib.asynccontextmanager
    async def open(self, signs: Signs) -> AsyncIterator[Streams]:
        """Open a client; its session is ended at the end of the block."""
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        signs.key_from = self.key_from or signs.key_from
        client = create_mcp_http_client(headers=dict(self.headers))
        # How long an answer may take is for the caller of a tool to say.
        client.timeout = (_CONNECT_SECONDS, None, _WRITE_SECONDS, None)
        client.event_hooks = {"response": [signs.answered]}
        async with (
            client,
            streamable_http_client(self.url, http_client=client) as streams,
        ):
            yield streams[0], streams[1]

    async def delete(self, session_id: str) -> None:
        """Have the server end a session, if it can be told within some seconds."""
        from mcp.shared._httpx_utils import create_mcp_http_client

        headers = {**self.headers, "mcp-session-id": session_id}
        with contextlib.suppress(Exception):
            async with (
                asyncio.timeout(_DELETE_SECONDS),
                create_mcp_http_client(headers=headers) as client,
            ):
                await client.delete(self.url)


Endpoint = Stdio | Http


def endpoint_of(
    command: Sequence[str] | None,
    url: str | None,
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    headers: Mapping[str, str] | None = None,
) -> Endpoint:
    """Make an endpoint of a command or a URL; raises TypeError or ValueError."""
    if isinstance(command, str):
        raise TypeError(
            f"command={command!r:.80}: it is a list of words, for example "
            f"command={command.split()!r:.160}"
        )
    if (command is None) == (url is None):
        raise TypeError(
            "connect_mcp takes a command or a URL: command=['uvx', 'mcp-server-git'], "
            "or url='http://localhost:8000/mcp'"
        )
    if command is not None:
        words = tuple(command)
        if not words or not all(isinstance(word, str) for word in words):
            raise TypeError(f"command={command!r:.80}: it is a list of words")
        if headers is not None:
            raise TypeError("headers go with a URL; a command takes env= and cwd=")
        return Stdio(words, dict(env or {}), None if cwd is None else str(cwd))
    if env is not None or cwd is not None:
        raise TypeError("env and cwd go with a command; a URL takes headers=")
    parts = urlsplit(str(url))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            f"url={url!r:.80}: it is the address of a server, for example "
            f"'http://localhost:8000/mcp'"
        )
    return Http(str(url), dict(headers or {}))
