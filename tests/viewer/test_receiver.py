"""OTLP over HTTP: every answer, and that what was acknowledged is in the store."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import random
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from foreign_spans import odd_spans, random_spans
from receiver_kit import (
    JSON,
    PROTOBUF,
    Listening,
    ids_in,
    ids_of,
    normal,
    partial_of,
    some_spans,
    spans_of,
    status_of,
    whole,
)
from viewer_kit import Served, python, until

from hudtrace.interchange import otlp_json
from hudtrace.settings import Settings
from hudtrace.store.store import Store

LIMIT = 20 << 20


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Callable[..., Listening]]:
    """Start receivers: `listen(**options)`; stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> Listening:
            return stack.enter_context(Listening(tmp_path / "t.db", **options))

        yield start


@pytest.fixture
def receiver(listen: Callable[..., Listening]) -> Listening:
    """A receiver."""
    return listen()


# What is taken ----------------------------------------------------------------------


@pytest.mark.parametrize("media", [PROTOBUF, JSON])
@pytest.mark.parametrize("encoding", ["", "identity", "gzip"])
def test_spans_are_in_the_store_when_they_are_acknowledged(
    receiver: Listening, media: str, encoding: str
) -> None:
    """Protobuf and JSON, packed or not: 200, the same type back, nothing lost."""
    request = odd_spans(10**18)
    data = (
        request.SerializeToString() if media == PROTOBUF else otlp_json.write(request)
    )
    answer = receiver.post(data, media, encoding)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media
    assert answer.content == (b"" if media == PROTOBUF else b"{}")
    assert whole(receiver.store) == normal(request)


def test_parameters_of_the_content_type_are_no_part_of_it(receiver: Listening) -> None:
    """`application/json; charset=utf-8`, in capitals or not."""
    data = otlp_json.write(some_spans(1))
    answer = receiver.post(data, "Application/JSON; charset=utf-8")
    assert partial_of(answer) == (0, "")
    assert receiver.count() == 1


@pytest.mark.parametrize(
    ("data", "media"), [(b"", PROTOBUF), (b"", JSON), (b"{}", JSON)]
)
def test_a_request_without_spans_is_a_success(
    receiver: Listening, data: bytes, media: str
) -> None:
    """Empty requests are for finding out whether somebody is there."""
    answer = receiver.post(data, media)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media)
    assert partial_of(answer) == (0, "")


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics"])
@pytest.mark.parametrize("media", [PROTOBUF, JSON])
def test_logs_and_metrics_are_dropped(
    receiver: Listening, path: str, media: str
) -> None:
    """An SDK that sends them too hears of no error."""
    answer = receiver.post(b"\x0a\x00" * 1000, media, path=path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media)
    assert answer.content == (b"" if media == PROTOBUF else b"{}")
    assert receiver.count() == 0


def test_a_span_that_comes_twice_is_stored_once(receiver: Listening) -> None:
    """Senders that heard nothing send again."""
    request = some_spans(10)
    for _ in range(3):
        answer = receiver.post(request.SerializeToString())
        assert partial_of(answer) == (0, "")
    assert ids_in(receiver.store) == ids_of(request)


def test_spans_with_bad_ids_are_rejected_and_the_others_stored(
    receiver: Listening,
) -> None:
    """Partial success says how many, and why."""
    request = some_spans(7)
    spans = spans_of(request)
    spans[0].trace_id = b""
    spans[1].trace_id = bytes(16)
    spans[2].span_id = b"short"
    spans[3].span_id = bytes(8)
    spans[4].parent_span_id = b"\1" * 16
    for media in (PROTOBUF, JSON):
        data = request.SerializeToString()
        if media == JSON:
            data = otlp_json.write(request)
        rejected, why = partial_of(receiver.post(data, media))
        assert rejected == 5
        assert "trace_id" in why
        assert "2 spans refused: span_id" in why
        assert "1 span refused: parent_span_id" in why
    assert receiver.count() == 2
    assert receiver.receiver.counts.rejected == 10


def test_ids_that_are_no_hex_cost_only_their_span(receiver: Listening) -> None:
    """In JSON, one odd id does not lose the rest of the request."""
    data = otlp_json.data_of(some_spans(2))
    data["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] = "not hex"
    answer = receiver.post(json.dumps(data).encode(), JSON)
    assert partial_of(answer)[0] == 1
    assert receiver.count() == 1


# What is refused --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "media", "says"),
    [
        (b"\x0a\xff", PROTOBUF, "ExportTraceServiceRequest"),
        (b"{}", PROTOBUF, "ExportTraceServiceRequest"),
        (b"not json", JSON, "no OTLP JSON"),
        (b"[]", JSON, "the request is a list, not an object"),
        (b'{"resourceSpans": 1}', JSON, "resourceSpans is a number, not a list"),
        (b'{"a": ' * 100_000, JSON, "nested too deeply"),
        (b"\xff\xfe\x00", JSON, "no OTLP JSON"),
    ],
)
def test_what_cannot_be_read_is_400(
    receiver: Listening, data: bytes, media: str, says: str
) -> None:
    """A google.rpc.Status in the type that was sent says what is wrong; no retry."""
    answer = receiver.post(data, media)
    assert (answer.status_code, answer.headers["content-type"]) == (400, media)
    code, message = status_of(answer)
    assert code == 3
    assert says in message
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize("cut", [10, 40, -4])
def test_damaged_gzip_is_400(receiver: Listening, cut: int) -> None:
    """Bytes that end too early, at any place, and such that are no gzip."""
    packed = gzip.compress(some_spans(5).SerializeToString())
    headers = {"content-type": PROTOBUF, "content-encoding": "gzip"}
    for data in (packed[:cut], b"\x1f\x8b" + b"x" * 50, packed + b"x"):
        answer = httpx.post(receiver.url, content=data, headers=headers)
        assert (answer.status_code, status_of(answer)[0]) == (400, 3)
    answer = httpx.post(receiver.url, content=packed + packed, headers=headers)
    assert partial_of(answer) == (0, "")  # two members are one body
    assert receiver.count() == 5


@pytest.mark.parametrize("media", ["", "text/plain", "application/protobuf-ish"])
def test_other_content_types_are_415(receiver: Listening, media: str) -> None:
    """It is said which there are."""
    answer = receiver.post(some_spans(1).SerializeToString(), media)
    assert answer.status_code == 415
    code, message = status_of(answer)
    assert code == 3
    assert PROTOBUF in message
    assert JSON in message


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
def test_other_encodings_are_415(receiver: Listening, encoding: str) -> None:
    """Only gzip, or none."""
    answer = receiver.post(some_spans(1).SerializeToString(), encoding=encoding)
    assert answer.status_code == 415
    assert status_of(answer) == (
        3,
        f"the encoding {encoding!r} is not known; send gzip or none",
    )


@pytest.mark.parametrize("media", [PROTOBUF, JSON])
def test_20_mib_are_the_limit(receiver: Listening, media: str) -> None:
    """At the limit a body is read, one byte more is 413: as sent, and unpacked."""
    blank = b" " * (LIMIT - 2) + b"{}"
    if media == PROTOBUF:
        field = some_spans(1, text="x" * (LIMIT - 250)).SerializeToString()
        # An unknown field makes up the rest, up to the last byte.
        blank = field + b"\x7a" + _varint(LIMIT - len(field) - 5)
        blank += bytes(LIMIT - len(blank))
    for encoding in ("", "gzip"):
        assert partial_of(receiver.post(blank, media, encoding)) == (0, "")
        answer = receiver.post(blank + b" ", media, encoding)
        assert (answer.status_code, answer.headers["content-type"]) == (413, media)
        code, message = status_of(answer)
        assert (code, str(LIMIT) in message) == (8, True)
        assert "retry-after" not in answer.headers
    assert receiver.count() == (media == PROTOBUF)


def _varint(number: int) -> bytes:
    return bytes([(number >> shift) & 127 | 128 for shift in (0, 7, 14)]) + bytes(
        [number >> 21]
    )


def test_a_gzip_bomb_is_413(receiver: Listening) -> None:
    """A gigabyte of nothing in a megabyte is not unpacked to the end."""
    bomb = gzip.compress(bytes(100 << 20)) * 10
    headers = {"content-type": JSON, "content-encoding": "gzip"}
    answer = httpx.post(receiver.url, content=bomb, headers=headers, timeout=60)
    assert (answer.status_code, status_of(answer)[0]) == (413, 8)


@pytest.mark.parametrize("media", [PROTOBUF, JSON])
def test_a_million_spans_of_two_bytes_are_refused_at_once(
    receiver: Listening, media: str
) -> None:
    """What a small body holds many of is no reason to work for minutes."""
    count = 1_000_000
    data = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * (count - 1)
    data += b"{}]}]}]}"
    if media == PROTOBUF:
        request = some_spans(0)
        scope_spans = request.resource_spans[0].scope_spans[0]
        scope_spans.MergeFromString(b"\x12\x00" * count)
        data = request.SerializeToString()
    rejected, why = partial_of(receiver.post(data, media))
    assert (rejected, "no ids" in why) == (count, True)
    assert receiver.count() == 0


def test_a_body_of_unknown_length_has_the_same_limit(receiver: Listening) -> None:
    """Sent in chunks, it is refused when it has grown too large."""

    def chunks(count: int) -> Iterator[bytes]:
        yield b"{}"
        for _ in range(count):
            yield b" " * (1 << 20)

    headers = {"content-type": JSON}
    answer = httpx.post(receiver.url, content=chunks(3), headers=headers)
    assert partial_of(answer) == (0, "")
    answer = httpx.post(receiver.url, content=chunks(21), headers=headers, timeout=60)
    assert (answer.status_code, status_of(answer)[0]) == (413, 8)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post(receiver: Listening, method: str) -> None:
    """Anything else is 405."""
    answer = httpx.request(method, receiver.url)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_full_queue_is_503_and_comes_again(
    listen: Callable[..., Listening],
) -> None:
    """What does not fit waits at the sender, who is told when to come; none is lost."""
    receiver = listen(queue_bytes=200_000)
    requests = [some_spans(200, text="x" * 50) for _ in range(60)]
    refused = 0

    def send(request: Any) -> None:
        nonlocal refused
        data = request.SerializeToString()
        while (answer := receiver.post(data)).status_code != 200:
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            code, message = status_of(answer)
            assert (code, "wait to be stored" in message) == (14, True)
            refused += 1
            time.sleep(0.02)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(send, requests))
    assert ids_in(receiver.store) == set().union(*map(ids_of, requests))
    assert refused
    assert receiver.receiver.counts.refused == refused
    answer = receiver.post(bytes(300_000))
    assert (answer.status_code, status_of(answer)[0]) == (503, 14)


def test_too_many_requests_at_once_are_429_and_come_again(
    listen: Callable[..., Listening],
) -> None:
    """A sender of more requests than may wait is told when to come; none is lost."""
    receiver = listen(queue_requests=1)
    requests = [some_spans(200) for _ in range(60)]
    refused = 0

    def send(request: Any) -> None:
        nonlocal refused
        data = request.SerializeToString()
        while (answer := receiver.post(data)).status_code != 200:
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
            code, message = status_of(answer)
            assert (code, "requests wait to be stored" in message) == (8, True)
            refused += 1
            time.sleep(0.02)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(send, requests))
    assert ids_in(receiver.store) == set().union(*map(ids_of, requests))
    assert refused


def test_a_store_that_cannot_be_written_is_503(
    tmp_path: Path, listen: Callable[..., Listening]
) -> None:
    """The sender keeps its spans till it can; then they are taken."""
    receiver = listen()
    data = some_spans(3).SerializeToString()
    with contextlib.closing(sqlite3.connect(receiver.store)) as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON spans BEGIN SELECT 1; END")
        db.execute("ALTER TABLE spans RENAME TO spans_away")
        answer = receiver.post(data)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        code, message = status_of(answer)
        assert (code, "the store cannot be written" in message) == (14, True)
        db.execute("ALTER TABLE spans_away RENAME TO spans")
    assert partial_of(receiver.post(data)) == (0, "")
    assert receiver.count() == 3


def test_a_store_that_is_taken_away_is_made_again(receiver: Listening) -> None:
    """Nobody writes to a file that is deleted, and says that it is stored."""
    receiver.post(some_spans(1).SerializeToString())
    for file in receiver.store.parent.glob("t.db*"):
        file.unlink()
    request = some_spans(2)
    assert partial_of(receiver.post(request.SerializeToString())) == (0, "")
    assert ids_in(receiver.store) == ids_of(request)


def test_a_closed_receiver_takes_no_more(tmp_path: Path) -> None:
    """What came before is written, what comes after is for another time."""
    with Listening(tmp_path / "t.db") as receiver:
        request = some_spans(2)
        assert receiver.post(request.SerializeToString()).status_code == 200
        receiver.receiver.close()
        answer = receiver.post(some_spans(2).SerializeToString())
        assert (answer.status_code, status_of(answer)[0]) == (503, 14)
        assert ids_in(receiver.store) == ids_of(request)


def test_senders_that_go_away_cost_nothing(receiver: Listening) -> None:
    """Half a body, or no patience for the answer: the room is given back."""
    data = some_spans(2000, text="x" * 200).SerializeToString()
    head = (
        f"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: {PROTOBUF}\r\n"
        f"content-length: {len(data)}\r\n\r\n"
    ).encode()
    for length in (0, 1000, len(data) // 2, len(data)):
        with socket.create_connection(("127.0.0.1", receiver.port)) as line:
            line.sendall(head + data[:length])
    until(lambda: receiver.receiver._held == 0)
    assert partial_of(receiver.post(data)) == (0, "")


# Many at once, and odd ones ---------------------------------------------------------


def test_requests_that_wait_are_committed_together(receiver: Listening) -> None:
    """Senders at once: fewer commits than requests, each span there once."""
    requests = [some_spans(20) for _ in range(400)]

    async def send() -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            answers = await asyncio.gather(
                *(
                    client.post(
                        receiver.url,
                        content=request.SerializeToString(),
                        headers={"content-type": PROTOBUF},
                    )
                    for request in requests
                )
            )
        assert {answer.status_code for answer in answers} == {200}

    asyncio.run(send())
    assert ids_in(receiver.store) == set().union(*map(ids_of, requests))
    assert receiver.receiver.counts.commits < len(requests)
    assert receiver.receiver.counts.spans == 8000


@pytest.mark.parametrize("media", [PROTOBUF, JSON])
def test_damaged_bodies_never_break_it(receiver: Listening, media: str) -> None:
    """Bytes changed, cut and put in: an answer that is 200 or 400, and it goes on."""
    dice = random.Random(5)
    requests = [odd_spans(10**18), *map(random_spans, range(40))]
    codes = set()
    with httpx.Client(timeout=60) as client:
        for number in range(600):
            data = requests[number % len(requests)].SerializeToString()
            if media == JSON:
                request = requests[number % len(requests)]
                data = otlp_json.write(request)
            answer = client.post(
                receiver.url,
                content=damaged(data, dice),
                headers={"content-type": media},
            )
            codes.add(answer.status_code)
            assert answer.status_code in (200, 400), answer.content
            assert answer.headers["content-type"] == media
    assert codes == {200, 400}
    request = some_spans(2)
    assert partial_of(receiver.post(request.SerializeToString())) == (0, "")
    assert ids_of(request) <= ids_in(receiver.store)
    assert whole(receiver.store)  # all that was taken can be read


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Return *data* with some of it changed."""
    found = bytearray(data)
    for _ in range(dice.choice([0, 1, 1, 2, 8])):
        at = dice.randrange(len(found) + 1)
        what = dice.randrange(4)
        if what == 0:
            del found[at : at + dice.choice([1, 2, 50])]
        elif what == 1:
            found[at:at] = dice.randbytes(dice.choice([1, 4]))
        elif what == 2:
            found[at : at + 1] = bytes([dice.randrange(256)])
        else:
            found[at:at] = found[: dice.choice([10, 300])]
    return bytes(found)


def test_values_of_other_types_than_ours_break_nothing(receiver: Listening) -> None:
    """Our names with anything in them are stored, and no episode is made up."""
    from hudtrace import semconv

    names = [
        value
        for value in vars(semconv).values()
        if isinstance(value, str) and value.startswith(("hud.", "gen_ai."))
    ]
    values: list[Any] = ["x", "", 7, -1, 2**63 - 1, 0.5, float("nan"), float("inf")]
    values += [True, b"\xff", [], ["a"], {"a": 1}, None]
    sent = set()
    for value in values:
        for operation in ("evaluate", "chat", value):
            attributes = dict.fromkeys(names, value)
            attributes["gen_ai.operation.name"] = operation
            request = some_spans(2, **attributes)
            assert partial_of(receiver.post(request.SerializeToString())) == (0, "")
            sent |= ids_of(request)
    assert ids_in(receiver.store) == sent


# In the viewer ----------------------------------------------------------------------


def test_the_viewer_takes_spans_on_its_own_port(tmp_path: Path) -> None:
    """POST /v1/traces beside the pages; the trace is there at once."""
    with Served(tmp_path / "t.db") as viewer:
        request = some_spans(3, "from elsewhere")
        answer = httpx.post(
            f"{viewer.origin}/v1/traces",
            content=request.SerializeToString(),
            headers={"content-type": PROTOBUF},
        )
        assert partial_of(answer) == (0, "")
        trace_id = spans_of(request)[0].trace_id.hex()
        assert viewer.api(f"/trace/{trace_id}")["span_count"] == 3


def test_our_own_work_is_never_traced(tmp_path: Path) -> None:
    """With everything configured to trace, only what was sent is in the store."""
    store = tmp_path / "t.db"
    code = """
import sys
sys.path.insert(0, "tests/viewer")
from pathlib import Path
import hudtrace
from receiver_kit import Listening, some_spans
hudtrace.configure(quiet=True)
with Listening(Path(sys.argv[1])) as receiver:
    for _ in range(5):
        receiver.post(some_spans(2).SerializeToString())
    hudtrace.flush(5)
    print(receiver.count())
"""
    with python(store, "-c", code, str(store), OTEL_TRACES_EXPORTER="otlp") as running:
        out, err = running.communicate(timeout=60)
    assert out == "10\n", err


def test_content_stays_out_where_it_is_not_wanted(
    listen: Callable[..., Listening],
) -> None:
    """content=none holds for what is received, as for our own spans."""
    receiver = listen(chosen=Settings(store=None, content="none"))
    messages = '[{"role":"user","parts":[{"type":"text","content":"private"}]}]'
    request = some_spans(1, **{"gen_ai.input.messages": messages, "kept": "yes"})
    spans_of(request)[0].status.message = "private"
    assert partial_of(receiver.post(request.SerializeToString())) == (0, "")
    stored = b"".join(whole(receiver.store))
    assert b"private" not in stored
    assert b"kept" in stored
    assert b"private" not in receiver.store.read_bytes()


def test_a_store_of_a_newer_version_is_refused_at_the_start(tmp_path: Path) -> None:
    """It is said before anybody sends to it."""
    from hudtrace.errors import ConfigurationError
    from hudtrace.viewer.receiver import Receiver

    path = tmp_path / "t.db"
    Store(path).close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 999")
    with pytest.raises(ConfigurationError, match="version 999"):
        Receiver(path).start()


def test_it_ends_with_all_that_it_has_taken(tmp_path: Path) -> None:
    """Closed while requests wait: each is stored, or its sender hears that it is not."""
    from hudtrace.viewer.otlp_bodies import Body, Refusal
    from hudtrace.viewer.receiver import Receiver

    receiver = Receiver(tmp_path / "t.db")
    receiver.start()
    requests = [some_spans(50) for _ in range(100)]
    stored: set[bytes] = set()

    def send() -> None:
        for request in requests:
            try:
                future = receiver.submit(Body(request.SerializeToString()))
                future.result(20)
            except Refusal:
                return
            stored.update(ids_of(request))

    sender = threading.Thread(target=send)
    sender.start()
    until(lambda: stored)
    receiver.close()
    sender.join(20)
    assert ids_in(tmp_path / "t.db") == stored
