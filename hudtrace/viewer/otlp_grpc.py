"""OTLP over gRPC, for those who send nothing else.

Off unless asked for. Messages come as bytes, and go the way of those over HTTP.
"""

from __future__ import annotations

import hmac
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hudtrace.errors import MissingExtra
from hudtrace.viewer import otlp_bodies
from hudtrace.viewer.otlp_bodies import PROTOBUF, Body, Refusal
from hudtrace.viewer.receiver import Receiver

_SERVICE = "opentelemetry.proto.collector.{0}.v1.{1}Service"
_DROPPED = (("logs", "Logs"), ("metrics", "Metrics"))
_THREADS = 16  # each waits for the commit of one request
_DETAILS = "grpc-status-details-bin"


class GrpcServer:
    """Takes OTLP/gRPC for a receiver; `port` is where."""

    def __init__(self, server: Any, port: int) -> None:
        self.port = port
        self._server = server

    def close(self, grace: float = 1.0) -> None:
        """Stop; what is being answered has *grace* seconds."""
        self._server.stop(grace).wait()


def serve(
    receiver: Receiver, host: str, port: int, token: str | None = None
) -> GrpcServer:
    """Listen, until it is closed; with a *token*, callers must have it.

    Raises `MissingExtra` without grpcio, `OSError` if the port is taken.
    """
    grpc = _grpc()
    server = grpc.server(
        ThreadPoolExecutor(_THREADS, "hudtrace-grpc"),
        options=[
            ("grpc.max_receive_message_length", receiver.max_bytes),
            ("grpc.max_concurrent_streams", 4 * _THREADS),
            ("grpc.so_reuseport", 0),
        ],
    )
    server.add_generic_rpc_handlers(tuple(_handlers(grpc, receiver, token)))
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    try:
        bound = server.add_insecure_port(f"{name}:{port}")
    except RuntimeError as error:
        bound = 0
        why = str(error)
    else:
        why = "the port is taken"
    if not bound:
        server.stop(None)
        raise OSError(f"cannot listen for OTLP/gRPC on {host}:{port}: {why}")
    server.start()
    return GrpcServer(server, bound)


def _handlers(grpc: Any, receiver: Receiver, token: str | None) -> list[Any]:
    def store(message: bytes, context: Any) -> bytes:
        return _answered(grpc, receiver, token, message, context)

    def drop(message: bytes, context: Any) -> bytes:
        _check(grpc, token, context)
        return b""

    methods = {_SERVICE.format("trace", "Trace"): store}
    methods |= {_SERVICE.format(*names): drop for names in _DROPPED}
    return [
        grpc.method_handlers_generic_handler(
            service, {"Export": grpc.unary_unary_rpc_method_handler(method)}
        )
        for service, method in methods.items()
    ]


def _answered(
    grpc: Any, receiver: Receiver, token: str | None, message: bytes, context: Any
) -> bytes:
    _check(grpc, token, context)
    held = 0
    try:
        receiver.reserve(len(message))
        held = len(message)
        taken = receiver.submit(Body(message)).result()
        response = otlp_bodies.partial(taken.rejected, taken.message)
        return otlp_bodies.written(response, PROTOBUF)
    except Refusal as refusal:
        receiver.counts.refused += 1
        _refuse(grpc, refusal, context)
        return b""  # the call has ended there
    finally:
        receiver.release(held)


def _refuse(grpc: Any, refusal: Refusal, context: Any) -> None:
    """End a call; one that may come again is told when, or clients give it up."""
    from google.protobuf.any_pb2 import Any as Packed
    from google.rpc.error_details_pb2 import RetryInfo
    from google.rpc.status_pb2 import Status

    status = Status(code=refusal.code, message=refusal.message)
    if refusal.retry_after is not None:
        info = RetryInfo()
        info.retry_delay.seconds = refusal.retry_after
        packed = Packed()
        packed.Pack(info)
        status.details.append(packed)
    context.set_trailing_metadata(((_DETAILS, status.SerializeToString()),))
    codes = {code.value[0]: code for code in grpc.StatusCode}
    context.abort(codes[refusal.code], refusal.message)


def _check(grpc: Any, token: str | None, context: Any) -> None:
    if token is None:
        return
    given = dict(context.invocation_metadata()).get("authorization", "")
    scheme, _, rest = str(given).partition(" ")
    same = hmac.compare_digest(rest.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not same:
        context.abort(
            grpc.StatusCode.UNAUTHENTICATED,
            "this viewer has a token: send 'authorization: Bearer <token>'",
        )


def _grpc() -> Any:
    try:
        import grpc
    except ImportError as error:
        raise MissingExtra(
            "receiving OTLP/gRPC needs 'grpcio', which is not installed: "
            "pip install grpcio"
        ) from error
    return grpc
