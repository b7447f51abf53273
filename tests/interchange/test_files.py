"""Files of others, recognised by what is in them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from foreign_spans import odd_spans
from receiver_kit import normal, some_spans

from hudtrace.interchange import files, otlp_json
from hudtrace.interchange.files import UnknownFile
from hudtrace.interchange.jaeger import to_jaeger

ODD = odd_spans(10**18)
MORE = some_spans(123)
BOTH = sorted([*normal(ODD), *normal(MORE)])


def lengths(*requests: Any) -> bytes:
    """Return protobuf with four bytes of length before each request."""
    found = b""
    for request in requests:
        data = request.SerializeToString()
        found += len(data).to_bytes(4, "big") + data
    return found


def data(request: Any) -> dict[str, Any]:
    """Return a request as plain data."""
    return otlp_json.data_of(request)


FORMS: dict[str, bytes] = {
    "otlp json": otlp_json.write(ODD),
    "pretty": json.dumps(data(ODD), indent=2).encode(),
    "byte order mark": b"\xef\xbb\xbf\n " + otlp_json.write(ODD),
    "list": json.dumps([data(ODD)]).encode(),
    "jaeger's api v3": json.dumps({"result": data(ODD)}).encode(),
    "tempo": json.dumps({"batches": data(ODD)["resourceSpans"]}).encode(),
    "tempo v2": json.dumps({"trace": data(ODD)}).encode(),
    "protobuf": ODD.SerializeToString(),
    "protobuf with lengths": lengths(ODD),
    "jaeger": json.dumps(to_jaeger(ODD)).encode(),
    "jaeger, a list": json.dumps(to_jaeger(ODD)["data"]).encode(),
}
OF_SEVERAL: dict[str, bytes] = {
    "lines": otlp_json.write(ODD) + b"\n" + otlp_json.write(MORE) + b"\n",
    "lines, windows": otlp_json.write(ODD) + b"\r\n\r\n" + otlp_json.write(MORE),
    "list": json.dumps([data(ODD), data(MORE)]).encode(),
    "protobuf": ODD.SerializeToString() + MORE.SerializeToString(),
    "protobuf with lengths": lengths(ODD, MORE),
    "jaeger lines": b"\n".join(
        json.dumps(to_jaeger(each)).encode() for each in (ODD, MORE)
    ),
    "mixed": otlp_json.write(ODD) + b"\n" + json.dumps(to_jaeger(MORE)).encode(),
}


def read(path: Path) -> list[bytes]:
    """Return the spans of a file."""
    return sorted(one for request in files.requests(path) for one in normal(request))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_known(
    tmp_path: Path, form: str, pack: Callable[[bytes], bytes]
) -> None:
    """By its content, whatever the file is called, packed or not."""
    path = tmp_path / "file"
    path.write_bytes(pack(FORMS[form]))
    assert read(path) == normal(ODD)


@pytest.mark.parametrize("form", OF_SEVERAL)
def test_several_requests_in_a_file(tmp_path: Path, form: str) -> None:
    """A line for each, as the collector writes them, and what else there is."""
    path = tmp_path / "file"
    path.write_bytes(OF_SEVERAL[form])
    assert read(path) == BOTH


@pytest.mark.parametrize("length", range(100, 140))
def test_protobuf_that_looks_like_json(tmp_path: Path, length: int) -> None:
    """It begins with a line break and the length, which may be a bracket."""
    request = some_spans(1)
    request.resource_spans[0].ClearField("resource")
    request.resource_spans[0].scope_spans[0].spans[0].name = ""
    missing = length - len(request.SerializeToString())
    request.resource_spans[0].scope_spans[0].spans[0].name = "x" * missing
    path = tmp_path / "file"
    path.write_bytes(request.SerializeToString())
    assert read(path) == normal(request)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty; expected OTLP JSON"),
        (b" \n", "is empty; expected OTLP JSON"),
        (b"a,b\n1,2\n", "is neither JSON nor protobuf"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "is neither JSON nor protobuf"),
        (b"{", "is no JSON"),
        (FORMS["otlp json"][:-5], "is no JSON"),
        (FORMS["protobuf"][:-5], "is neither JSON nor protobuf"),
        (FORMS["jaeger"][:-5], "is no JSON"),
        (gzip.compress(FORMS["otlp json"])[:-20], "is damaged gzip"),
        (b"\x1f\x8b" + b"x" * 20, "is damaged gzip"),
        (b"[" * 100_000, "is no JSON"),
        (b"{}", "is JSON with the keys none; expected OTLP JSON"),
        (b'{"a": 1, "b": 2}', "is JSON with the keys 'a', 'b'; expected OTLP JSON"),
        (b"[1, 2]", "has JSON without spans; expected OTLP JSON"),
        (b'{"resourceSpans": [{"scopeSpans": 1}]}', "resourceSpans[0].scopeSpans is"),
        (b'{"resourceSpans": null}\n{"resourceS', "line 2 is cut off"),
        (b'{"data": [{"traceID": "x", "spans": 5}]}', "spans"),
    ],
)
def test_what_is_none_is_refused_with_words(
    tmp_path: Path, content: bytes, says: str
) -> None:
    """Which file, what is wrong with it, and what was expected."""
    path = tmp_path / "strange.bin"
    path.write_bytes(content)
    with pytest.raises(UnknownFile) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)
