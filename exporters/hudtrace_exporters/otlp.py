"""Any backend that takes OTLP: a collector, Grafana Tempo, a hosted service."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hudtrace.backends import (
    Backend,
    Content,
    OtlpTarget,
    Sender,
    open_otlp,
    otlp_target,
)


class Otlp(Backend):
    """OTLP over HTTP or gRPC.

    What is not given comes from the `OTEL_EXPORTER_OTLP_*` variables and then from
    the defaults of OpenTelemetry. `endpoint` of HTTP is the whole URL, `/v1/traces`
    included; `protocol` is `http/protobuf` or `grpc`.
    """

    name = "otlp"

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        protocol: str | None = None,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
    ) -> None:
        self._target: OtlpTarget = otlp_target(endpoint, protocol)
        self._headers = headers
        self.endpoint = self._target.shown
        self.content = content

    @property
    def identity(self) -> str:
        """Address and headers: another account is another destination."""
        headers = self._headers or self._target.headers
        return json.dumps([self._target.endpoint, headers], sort_keys=True, default=str)

    def open(self) -> Sender:
        """Open a line with the exporter classes of OpenTelemetry."""
        return open_otlp(self._target, self._headers)
