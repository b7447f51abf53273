"""What is no address of an OTLP endpoint is refused where it is set."""

from __future__ import annotations

from pathlib import Path

import pytest
from hudtrace_exporters.otlp import Otlp

import hudtrace as hud
from hudtrace import runtime
from hudtrace.errors import ConfigurationError

HTTP, GRPC = "http/protobuf", "grpc"


@pytest.mark.parametrize(
    ("protocol", "value"),
    [
        (HTTP, "notaurl"),
        (HTTP, "localhost:4318"),
        (HTTP, "http://"),
        (HTTP, "http://host:port"),
        (HTTP, "ftp://host/v1/traces"),
        (GRPC, "notaurl"),
        (GRPC, "http://host:port"),
    ],
)
@pytest.mark.parametrize(
    "variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
)
def test_no_address(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    protocol: str,
    value: str,
    variable: str,
) -> None:
    """The error names the variable and the value."""
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    with pytest.raises(ConfigurationError) as caught:
        hud.configure(store=tmp_path / "t.db", quiet=True)
    assert f"({variable})" in str(caught.value)
    assert repr(value) in str(caught.value)


def test_no_secret_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """User information is not shown."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://me:hunter2@host:port")
    with pytest.raises(ConfigurationError, match="host:port") as caught:
        Otlp()
    assert "hunter2" not in str(caught.value)


def test_no_address_given() -> None:
    """An address in the program is checked too."""
    with pytest.raises(ConfigurationError, match="endpoint="):
        Otlp("http://host:port")


@pytest.mark.parametrize(
    ("protocol", "value"),
    [
        (HTTP, "http://localhost:4318"),
        (HTTP, "https://me:pass@host.test/otlp/"),
        (HTTP, "http://[::1]:4318"),
        (GRPC, "localhost:4317"),
        (GRPC, "https://collector"),
        (GRPC, "unix:///run/otel.sock"),
        (GRPC, "dns:///collector:4317"),
    ],
)
def test_an_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, protocol: str, value: str
) -> None:
    """Every form that the standard exporters take is taken."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", value)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    hud.configure(store=tmp_path / "t.db", quiet=True)
    assert len(runtime.get_runtime().backends) == 1
