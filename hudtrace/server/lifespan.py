"""What ends with the application: its sessions are closed, and all is written."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from hudtrace.notices import notify_once
from hudtrace.runtime import flush

_FLUSH_SECONDS = 5.0


class Lifespan:
    """The lifespan of an application, which closes what is in `closing`."""

    def __init__(self) -> None:
        self.closing: list[Any] = []
        self._begun = False

    @contextlib.asynccontextmanager
    async def __call__(self, _app: Any) -> AsyncIterator[None]:
        """Be there; at the end, close."""
        self._begun = True
        try:
            yield
        finally:
            for each in self.closing:
                await each.close()
            await asyncio.to_thread(flush, _FLUSH_SECONDS)

    def check(self) -> None:
        """Say once where nobody runs it: applications that are mounted have none."""
        if not self._begun:
            notify_once(
                "no-lifespan",
                "the lifespan of the application of env.agent_app() is not run, so its "
                "sessions will not be closed and graded when the server ends; give it "
                "to the application that it is mounted in: "
                "FastAPI(lifespan=agent.router.lifespan_context)",
            )
