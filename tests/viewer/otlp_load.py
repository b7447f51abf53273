"""Sends many spans over one connection; run as a process: URL, how many, spans each.

Prints the first bytes of its trace ids, which the ids of its spans are made from.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)


def requests(count: int, each: int, own: bytes) -> Any:
    """Yield requests as bytes; a span's ids are *own* and its number."""
    for start in range(0, count, each):
        request = ExportTraceServiceRequest()
        process = request.resource_spans.add()
        process.resource.attributes.add(key="service.name").value.string_value = "load"
        spans = process.scope_spans.add().spans
        for number in range(start, min(count, start + each)):
            span = spans.add(
                trace_id=own + (number // 50).to_bytes(8, "big"),
                span_id=own[:4] + number.to_bytes(4, "big"),
                name=f"GET /things/{number % 20}",
                kind=2,
                start_time_unix_nano=10**18 + number * 1000,
                end_time_unix_nano=10**18 + number * 1000 + 500,
            )
            for key, value in (("http.route", "/things"), ("user", f"user {number}")):
                span.attributes.add(key=key).value.string_value = value
            span.attributes.add(key="http.status").value.int_value = 200
        yield request.SerializeToString()


def main(url: str, count: int, each: int) -> None:
    own = os.urandom(8)
    again = 0
    headers = {"content-type": "application/x-protobuf", "host": urlsplit(url).netloc}
    with httpx.Client(timeout=60) as client:
        for data in requests(count, each, own):
            while True:
                answer = client.post(url, content=data, headers=headers)
                if answer.status_code == 200:
                    break
                assert answer.status_code == 503, answer.content
                again += 1
                time.sleep(float(answer.headers["retry-after"]) / 20)
    print(own.hex(), again)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
