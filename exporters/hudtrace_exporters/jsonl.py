"""A file of OTLP JSON lines, as the file exporter of a collector writes them."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from hudtrace.backends import Backend, Content, Parcel, Receipt

_IDS = {"traceId", "spanId", "parentSpanId"}


class JsonLines(Backend):
    """Appends an `ExportTraceServiceRequest` a line to the file at `path`."""

    name = "jsonl"

    def __init__(
        self, path: str | Path = "traces.jsonl", *, content: Content | None = None
    ) -> None:
        self._path = Path(path).expanduser().absolute()
        self.endpoint = str(self._path)
        self.content = content

    @property
    def local(self) -> bool:
        """A file is on this machine."""
        return True

    def open(self) -> JsonLines:
        """Make the folder of the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def send(self, parcel: Parcel, timeout: float | None = None) -> Receipt:
        """Append one line."""
        from google.protobuf.json_format import MessageToDict
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        request = ExportTraceServiceRequest.FromString(parcel.request)
        plain = MessageToDict(request, use_integers_for_enums=True)
        line = json.dumps(_with_hex_ids(plain), ensure_ascii=False)
        with open(
            self._path, "a", encoding="utf-8", errors="replace", opener=_open_private
        ) as file:
            file.write(f"{line}\n")
        return Receipt()

    def close(self) -> None:
        """Nothing is open between lines."""


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # what is traced is its owner's alone


def _with_hex_ids(value: Any) -> Any:
    """OTLP JSON has ids in hex, where JSON of protobuf has base64."""
    if isinstance(value, list):
        return [_with_hex_ids(item) for item in value]
    if isinstance(value, dict):
        return {
            key: base64.b64decode(item).hex() if key in _IDS else _with_hex_ids(item)
            for key, item in value.items()
        }
    return value
