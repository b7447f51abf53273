"""OTLP over HTTP: the three addresses that an SDK or a collector sends to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from hudtrace.viewer import otlp_bodies
from hudtrace.viewer.otlp_bodies import JSON, PROTOBUF, Body, Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

    from hudtrace.viewer.receiver import Receiver

READ_SECONDS = 60.0  # for one body
_DISCARDED = 100 << 20  # bytes of a refused body that are read, for it to be answered


def routes(receiver: Receiver) -> list[Route]:
    """Return the routes by which *receiver* takes spans.

    Logs and metrics are taken and dropped: an SDK that sends them is to stay quiet.
    """

    async def traces(request: Request) -> Response:
        return await _answered(request, receiver, stored=True)

    async def dropped(request: Request) -> Response:
        return await _answered(request, receiver, stored=False)

    return [
        Route("/v1/traces", traces, methods=["POST"]),
        Route("/v1/logs", dropped, methods=["POST"]),
        Route("/v1/metrics", dropped, methods=["POST"]),
    ]


async def _answered(request: Request, receiver: Receiver, *, stored: bool) -> Response:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    held = _Held(receiver, kept=stored)
    try:
        data = await held.read(request)
        if media not in (PROTOBUF, JSON):
            raise Refusal(
                415, f"the content type {media[:100]!r} is not {PROTOBUF} or {JSON}"
            )
        content = otlp_bodies.written(otlp_bodies.partial(0, ""), media)
        if stored:
            encoding = request.headers.get("content-encoding", "").strip().lower()
            future = receiver.submit(Body(data, media, encoding))
            taken = await asyncio.wrap_future(future)
            response = otlp_bodies.partial(taken.rejected, taken.message)
            content = otlp_bodies.written(response, media)
        return Response(content, media_type=media)
    except Refusal as refusal:
        receiver.counts.refused += 1
        return _refused(refusal, media)
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it
    finally:
        held.release()


def _refused(refusal: Refusal, media: str) -> Response:
    media = PROTOBUF if media == PROTOBUF else JSON
    headers = {}
    if refusal.retry_after is not None:
        headers["retry-after"] = str(refusal.retry_after)
    content = otlp_bodies.status(refusal, media)
    return Response(content, refusal.status, headers, media)


class _Held:
    """What one request takes of the receiver's room."""

    def __init__(self, receiver: Receiver, *, kept: bool) -> None:
        self._receiver = receiver
        self._kept = kept
        self._bytes = 0

    async def read(self, request: Request) -> bytes:
        """Read the body; a refused one to its end, for clients read no sooner."""
        pieces: list[bytes] = []
        refusal: Refusal | None = None
        size = 0
        try:
            async with asyncio.timeout(READ_SECONDS):
                async for piece in request.stream():
                    size += len(piece)
                    refusal = refusal or self._hold(len(piece), size)
                    if refusal is None and self._kept:
                        pieces.append(piece)
                    elif refusal is not None:
                        pieces.clear()
                        self.release()
                        if size > _DISCARDED:
                            break
        except TimeoutError:
            raise Refusal(408, f"no body within {READ_SECONDS:.0f} s") from None
        if refusal is not None:
            raise refusal
        return b"".join(pieces)

    def release(self) -> None:
        """Give the room back."""
        self._receiver.release(self._bytes)
        self._bytes = 0

    def _hold(self, piece: int, size: int) -> Refusal | None:
        if size > self._receiver.max_bytes:
            return otlp_bodies.too_large(self._receiver.max_bytes)
        if not self._kept:
            return None
        try:
            self._receiver.reserve(piece)
        except Refusal as refusal:
            return refusal
        self._bytes += piece
        return None
