"""OTLP as rows of the store: nothing is lost, secrets are taken out, content once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from foreign_spans import odd_spans, put, random_spans
from receiver_kit import (
    conversations,
    ids_in,
    ids_of,
    normal,
    rows,
    some_spans,
    spans_of,
    table_size,
    whole,
)

from hudtrace import semconv
from hudtrace.interchange.intake import Intake, Taken
from hudtrace.store.rows import Batch
from hudtrace.store.store import Store
from hudtrace.tracing.redaction import Redactor

SECRET = "sk-abcdefghijklmnop1234"
Take = Callable[..., Taken]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of the test's own."""
    return tmp_path / "t.db"


@pytest.fixture
def take(store: Path) -> Take:
    """Store a request: `take(request, redactor, content=True)`."""

    def take(
        request: Any, redactor: Redactor | None = None, *, content: bool = True
    ) -> Taken:
        copy = type(request).FromString(request.SerializeToString())
        batch = Batch()
        taken = Intake(redactor or Redactor(), content=content).add(batch, copy)
        writer = Store(store)
        writer.write(batch)
        writer.close()
        return taken

    return take


def message(role: str, text: str) -> dict[str, Any]:
    """Return a message of the conventions."""
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def chat(
    *messages: Any, output: Any = (), tools: Any = None, dumps: Any = json.dumps
) -> Any:
    """Return a request with a model call, its content inline."""
    attributes = {semconv.INPUT_MESSAGES: dumps(messages)}
    attributes[semconv.OUTPUT_MESSAGES] = dumps(output)
    if tools is not None:
        attributes[semconv.TOOL_DEFINITIONS] = dumps(tools)
    return some_spans(1, **attributes)


# Nothing is lost ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_every_field_survives(store: Path, take: Take, seed: int) -> None:
    """Whatever a span, its process and its library have comes back to the bit."""
    request = random_spans(seed)
    assert take(request).rejected == 0
    assert whole(store) == normal(request)


def test_odd_spans_survive(store: Path, take: Take) -> None:
    """Every kind of value, odd times, links to nowhere, processes without a name."""
    request = odd_spans(10**18)
    take(request)
    assert whole(store) == normal(request)


def test_unknown_fields_survive(store: Path, take: Take) -> None:
    """What a newer protocol says is kept for those who understand it."""
    request = some_spans(1)
    spans_of(request)[0].MergeFromString(b"\xfa\x7f\x03new")
    spans_of(request)[0].attributes[0].value.MergeFromString(b"\xfa\x7f\x03own")
    process = request.resource_spans[0]
    process.MergeFromString(b"\xfa\x7f\x05outer")
    process.resource.MergeFromString(b"\xfa\x7f\x03res")
    process.scope_spans[0].MergeFromString(b"\xfa\x7f\x05inner")
    take(request)
    stored = b"".join(whole(store))
    for text in (b"\x03new", b"\x03own", b"\x05outer", b"\x03res", b"\x05inner"):
        assert b"\xfa\x7f" + text in stored
    assert whole(store) == normal(request)


def test_spans_of_one_process_and_library_share_them(store: Path, take: Take) -> None:
    """Requests of one sender have one source, however many there are."""
    for _ in range(5):
        take(some_spans(3))
    assert table_size(store, "sources") == 1
    assert table_size(store, "spans") == 15


def test_times_beyond_the_columns_are_kept_in_the_span(store: Path, take: Take) -> None:
    """Times without sense are no reason to lose a span."""
    request = some_spans(3)
    one, two, three = spans_of(request)
    one.start_time_unix_nano = one.end_time_unix_nano = 2**64 - 1
    two.start_time_unix_nano, two.end_time_unix_nano = 2**63, 5
    three.start_time_unix_nano = three.end_time_unix_nano = 0
    assert take(request).accepted == 3
    assert whole(store) == normal(request)


def test_an_attribute_that_is_there_twice_stays_so(store: Path, take: Take) -> None:
    """Also if it is one that would be taken out of the span."""
    request = chat(message("user", "hi"))
    put(spans_of(request)[0].attributes, {semconv.INPUT_MESSAGES: "[]", "n": "again"})
    take(request)
    assert whole(store) == normal(request)
    assert table_size(store, "nodes") == 0


# Conversations ------------------------------------------------------------------------

TURNS = [message("user" if n % 2 else "assistant", f"says {n} 😀") for n in range(8)]


def compact(value: Any) -> str:
    """Return JSON as JavaScript writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def pretty(value: Any) -> str:
    """Return JSON with line breaks."""
    return json.dumps(value, indent=2)


@pytest.mark.parametrize("dumps", [json.dumps, compact, pretty])
def test_a_conversation_is_stored_once_and_comes_back_to_the_letter(
    store: Path, take: Take, dumps: Any
) -> None:
    """Each call repeats all before it; whatever the blanks, the text is the same."""
    tools = [{"type": "function", "name": "look"}]
    requests = [
        chat(
            *TURNS[:n], output=[message("assistant", f"o{n}")], tools=tools, dumps=dumps
        )
        for n in range(1, 8)
    ]
    for request in requests:
        take(request)
    assert whole(store) == sorted(one for r in requests for one in normal(r))
    last = requests[-1]
    (found,) = conversations(store, spans_of(last)[0].trace_id.hex())
    assert found.input == TURNS[:7]
    assert found.output == [message("assistant", "o7")]
    assert found.tools == tools
    # Each message once, and those in a list's last place where blanks differ.
    assert table_size(store, "messages") <= 7 + 7 + 1 + 7


@pytest.mark.parametrize(
    "given",
    [
        "not json",
        '[{"role":"user","parts":[]}',
        '{"role":"user","parts":[]}',
        '[{"role":"user","content":"another form"}]',
        '[{"role":"user","parts":["text"]}]',
        '[{"role":1,"parts":[]}]',
        '[{"role":"user","parts":[{"n":NaN}]}]',
        ' [{"role":"user","parts":[]}]',
        '[{"role":"user","parts":[]}] ',
        '[{"role":"user","parts":[]},]',
        '[{"role":"user","parts":[]};]',
        '[{"role":"user","parts":[]}]]',
        '["text"]',
        "[" * 100_000,
        '[{"role":"user","parts":[],"n":' + "9" * 5000 + "}]",
        "[]",
        "[ ]",
        "[",
        "]",
        "",
    ],
)
def test_other_forms_stay_in_the_span(store: Path, take: Take, given: str) -> None:
    """What could not be put together again, or is no conversation, is not touched."""
    request = some_spans(1, **{semconv.INPUT_MESSAGES: given})
    take(request)
    assert whole(store) == normal(request)
    assert table_size(store, "nodes") == 0
    both = some_spans(
        1,
        **{
            semconv.INPUT_MESSAGES: given,
            semconv.OUTPUT_MESSAGES: json.dumps(TURNS[:1]),
            semconv.TOOL_DEFINITIONS: given,
        },
    )
    take(both)
    assert whole(store) == sorted([*normal(request), *normal(both)])


def test_content_as_structured_values_stays_in_the_span(
    store: Path, take: Take
) -> None:
    """Messages that are no text, but lists and maps, keep their kind."""
    request = some_spans(1, **{semconv.INPUT_MESSAGES: TURNS})
    take(request)
    assert whole(store) == normal(request)


def test_content_may_be_left_out(store: Path, take: Take) -> None:
    """With content "none": metadata alone, in no table anything else."""
    request = chat(message("user", "private"), tools=[{"name": "private"}])
    span = spans_of(request)[0]
    put(span.attributes, {semconv.TOOL_CALL_RESULT: "private", "model": "kept"})
    span.status.message = "private"
    event = span.events.add(name="exception")
    put(event.attributes, {"exception.message": "private", "exception.type": "E"})
    take(request, content=False)
    assert table_size(store, "messages") == table_size(store, "nodes") == 0
    stored = b"".join(whole(store))
    assert b"private" not in stored
    assert b"kept" in stored
    assert b"exception.type" in stored


# Secrets ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        f"before {SECRET} after",
        f"ключ {SECRET} 😀",
        ["a", SECRET],
        {"deep": [{"er": f"Bearer {SECRET}"}]},
        SECRET.encode(),
        json.dumps({"x": [SECRET]}),
        {"password": "hunter2!"},
        ["authorization", "Basic-hunter2!"],
        ["x-api-key", "hunter2!"],
        [["password", "hunter2!"], ["n", "1"]],
        [[["cookie", "hunter2!"]]],
        [{"api_key": "hunter2!"}],
        {"a": {"token": 12345678}},
    ],
)
def test_secrets_are_taken_out_of_everything(
    store: Path, take: Take, value: Any
) -> None:
    """Attributes of spans, events, links, processes and libraries; the rest stays."""
    request = some_spans(1)
    process, span = request.resource_spans[0], spans_of(request)[0]
    event, link = span.events.add(name="e"), span.links.add(trace_id=b"1" * 16)
    scope = process.scope_spans[0].scope
    places = (span, event, link, process.resource, scope)
    for place in places:
        put(place.attributes, {"value": value, "int": 1, "float": 1.0, "bytes": b"\0"})
    take(request)
    stored = b"".join(whole(store))
    assert SECRET.encode() not in stored
    assert b"hunter2!" not in stored
    assert stored.count(b"[redacted]") == len(places)
    assert SECRET.encode() not in store.read_bytes()
    request = type(request).FromString(whole_request(store))
    for place in _places(request):
        kinds = {pair.key: pair.value.WhichOneof("value") for pair in place.attributes}
        assert kinds["int"] == "int_value"
        assert kinds["float"] == "double_value"
        assert kinds["bytes"] == "bytes_value"


def whole_request(store: Path) -> bytes:
    """Return the one span of a store with all around it."""
    (found,) = whole(store)
    return found


def _places(request: Any) -> list[Any]:
    process, span = request.resource_spans[0], spans_of(request)[0]
    scope = process.scope_spans[0].scope
    return [span, span.events[0], span.links[0], process.resource, scope]


def test_secrets_are_taken_out_of_names_messages_and_texts(
    store: Path, take: Take
) -> None:
    """The name of a span, its status, its messages, what is under a secret's name."""
    request = chat(message("user", f"my key is {SECRET}"), tools=[{"key": SECRET}])
    span = spans_of(request)[0]
    span.name = f"GET https://user:hunter2!@host/{SECRET}"
    span.status.message = f"no: {SECRET}"
    span.events.add(name=SECRET)
    put(span.attributes, {"db.password": "hunter2!", "x.api_key": 12345678, SECRET: 1})
    take(request)
    (stored,) = whole(store)
    for secret in (SECRET.encode(), b"hunter2!"):
        assert secret not in stored
        assert secret not in store.read_bytes()
    (found,) = conversations(store, span.trace_id.hex())
    assert found.input == [message("user", "my key is [redacted]")]


def test_values_of_this_process_and_the_users_own_rule(store: Path, take: Take) -> None:
    """Literal secrets, whatever they look like, and `redact=`, as for our own spans."""

    def no_names(text: str) -> str:
        return text.replace("Ann", "[name]")

    redactor = Redactor(["größtes-geheimnis"], no_names)
    request = chat(message("user", "Ann has größtes-geheimnis"))
    put(spans_of(request)[0].attributes, {"who": "Ann", "what": "größtes-geheimnis"})
    take(request, redactor)
    (stored,) = whole(store)
    assert b"Ann" not in stored
    assert "größtes-geheimnis".encode() not in stored
    assert b"[name] has [redacted]" in stored


def test_what_holds_no_secret_is_not_touched(store: Path, take: Take) -> None:
    """Words that only look like trouble, and counts of tokens, stay to the bit."""
    request = some_spans(
        1,
        **{
            "gen_ai.usage.input_tokens": 5,
            "text": "the token: of my esteem; key, secret and password",
            "map": {"max_tokens": 7, "primary_key": "id", "n": float("nan")},
            "list": ["authorization", "cookie"][:1],
        },
    )
    take(request)
    assert whole(store) == normal(request)


# Episodes -----------------------------------------------------------------------------


def episode(**attributes: Any) -> Any:
    """Return an episode's root, with some attributes of its own."""
    given = {
        semconv.OPERATION: semconv.OP_EVALUATE,
        semconv.ENV_NAME: "trivia",
        semconv.REWARD: 0.5,
        semconv.OUTCOME: "scored",
        semconv.TURNS: 3,
    }
    return some_spans(1, "eval trivia:x", **{**given, **attributes})


def test_an_episode_is_folded_from_whatever_comes_first(
    store: Path, take: Take
) -> None:
    """Children before the root, the root before children: the same row."""
    request = episode()
    into = request.resource_spans[0].scope_spans[0]
    child = into.spans.add()
    child.CopyFrom(into.spans[0])
    child.span_id, child.parent_span_id = b"child..1", into.spans[0].span_id
    del child.attributes[:]
    put(child.attributes, {semconv.PHASE: "agent", semconv.ENV_NAME: "trivia"})
    first, second = (
        type(request).FromString(request.SerializeToString()) for _ in "12"
    )
    del first.resource_spans[0].scope_spans[0].spans[0]
    del second.resource_spans[0].scope_spans[0].spans[1]
    take(first)
    assert rows(store, "episodes")[0][1] is None  # no root yet
    take(second)
    ((_, root, name, *_),) = found = rows(store, "episodes")
    assert (root, name) == (into.spans[0].span_id, "trivia:x")
    take(first)
    take(second)
    assert rows(store, "episodes") == found


def test_a_foreign_span_that_is_called_alike_is_no_episode(
    store: Path, take: Take
) -> None:
    """Others evaluate too."""
    take(some_spans(2, **{semconv.OPERATION: semconv.OP_EVALUATE}))
    assert rows(store, "episodes") == []


def test_late_verdicts_count_whichever_comes_first(store: Path, take: Take) -> None:
    """The reward of an episode is that of the newest verdict, in any order."""
    root = episode()
    trace_id = spans_of(root)[0].trace_id.hex()
    late = some_spans(
        1,
        "reward",
        **{
            semconv.EVALUATION_NAME: "reward",
            semconv.EVALUATION_SCORE: 1.0,
            semconv.EPISODE_TRACE_ID: trace_id,
        },
    )
    take(late)
    take(root)
    (row,) = rows(store, "episodes")
    assert 1.0 in row
    assert rows(store, "verdicts")[0][1].hex() == trace_id
    take(root)
    assert rows(store, "episodes") == [row]


@pytest.mark.parametrize(
    "attributes",
    [
        {semconv.EVALUATION_SCORE: "high"},
        {semconv.EVALUATION_SCORE: True},
        {semconv.EVALUATION_NAME: 7},
        {semconv.EPISODE_TRACE_ID: "not hex"},
        {semconv.EPISODE_TRACE_ID: "ab"},
        {semconv.EPISODE_TRACE_ID: 5},
    ],
)
def test_verdicts_without_sense_are_spans_and_nothing_else(
    store: Path, take: Take, attributes: dict[str, Any]
) -> None:
    """A score that is no number, an episode that cannot be."""
    given = {semconv.EVALUATION_NAME: "reward", semconv.EVALUATION_SCORE: 1.0}
    request = some_spans(1, **{**given, **attributes})
    assert take(request).accepted == 1
    assert rows(store, "verdicts") == []
    assert ids_in(store) == ids_of(request)


def test_columns_hold_what_they_are_for(store: Path, take: Take) -> None:
    """Roll-ups of a wrong type are left out of the list of episodes."""
    take(episode(**{semconv.REWARD: "much", semconv.TURNS: "many", semconv.JOB_ID: 7}))
    (row,) = rows(store, "episodes")
    assert "much" not in row
    assert "many" not in row
    assert "7" in row
