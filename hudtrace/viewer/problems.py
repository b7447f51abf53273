"""Errors of the API: a status and a sentence, in the form of RFC 9457."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from hudtrace.viewer.encoding import encode

KIND = "application/problem+json"


class Problem(Exception):
    """A request that is answered with an error; `detail` says what to do about it."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.title = title or HTTPStatus(status).phrase
        self.headers = {
            "content-type": KIND,
            "cache-control": "no-store",
            **(headers or {}),
        }

    @property
    def body(self) -> bytes:
        """The JSON of the answer."""
        return encode(
            {
                "type": "about:blank",
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
            }
        )


async def answer(problem: Problem, send: Any, *, bodyless: bool = False) -> None:
    """Answer with *problem*, outside of any framework."""
    body = problem.body
    headers = {**problem.headers, "content-length": str(len(body))}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send(
        {"type": "http.response.start", "status": problem.status, "headers": raw}
    )
    await send({"type": "http.response.body", "body": b"" if bodyless else body})
