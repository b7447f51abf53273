"""`hudtrace export` and `hudtrace import`, as their users run them."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from foreign_spans import odd_spans
from receiver_kit import (
    conversations,
    normal,
    rows,
    some_spans,
    spans_by_column,
    spans_of,
    whole,
)

from hudtrace.interchange import otlp_json
from hudtrace.store import queries
from hudtrace.store.store import read_only

Recorded = tuple[Path, dict[str, str]]


def hudtrace(
    *args: str | Path, store: Path, code: int = 0, text: bool = True
) -> tuple[Any, Any]:
    """Run the command; return what it wrote to stdout and to stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "hudtrace.cli", *map(str, args)],
        capture_output=True,
        text=text,
        check=False,
        env={**os.environ, "HUDTRACE_STORE": str(store)},
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def assert_same(one: Path, other: Path, *trace_ids: str) -> None:
    """Both stores have the same of these traces, in every table."""
    assert whole(one, *trace_ids) == whole(other, *trace_ids)
    keys = {bytes.fromhex(trace_id) for trace_id in trace_ids}

    def of(found: list[tuple[Any, ...]], column: int) -> list[tuple[Any, ...]]:
        return [row for row in found if row[column] in keys]

    for table, column in (("episodes", 0), ("verdicts", 1)):
        assert of(rows(one, table), column) == of(rows(other, table), column)
    assert of(spans_by_column(one), 0) == of(spans_by_column(other), 0)


# There and back -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.json", "out.pb"])
@pytest.mark.parametrize("what", ["bread", "rubbish", "nothing", "picture"])
def test_an_episode_there_and_back(
    tmp_path: Path, recorded: Recorded, name: str, what: str
) -> None:
    """As OTLP, JSON and protobuf, into an empty store: no attribute is lost."""
    store, ids = recorded
    file, other = tmp_path / name, tmp_path / "other.db"
    out, err = hudtrace("export", ids[what], "--to", "otlp", "-o", file, store=store)
    assert (out, err) == ("", f"written to {file}\n")
    out, err = hudtrace("import", file, store=other)
    assert out.endswith("; 2 traces\n" if what == "rubbish" else "; 1 trace\n")
    assert err == ""
    assert_same(store, other, ids[what])
    assert conversations(other, ids[what]) == conversations(store, ids[what])


@pytest.mark.parametrize("to", ["otlp", "jaeger"])
def test_a_job_there_and_back(tmp_path: Path, recorded: Recorded, to: str) -> None:
    """All its episodes, and its own spans; twice is once."""
    store, ids = recorded
    file, other = tmp_path / "job", tmp_path / "other.db"
    hudtrace("export", ids["job"], "--to", to, "-o", file, store=store)
    out, _ = hudtrace("import", file, store=other)
    with contextlib.closing(read_only(store)) as db:
        traces = [e.trace_id for e in queries.episodes(db, job=ids["job"])]
    traces.append(ids["job_trace"])
    assert len(traces) == 7
    assert out.endswith("; 7 traces\n")
    assert_same(store, other, *traces)
    assert {row[0].hex() for row in spans_by_column(other)} == set(traces)
    before = rows(other, "spans"), rows(other, "episodes"), rows(other, "verdicts")
    out, _ = hudtrace("import", file, file, store=other)
    assert out.startswith("0 new spans, ")
    assert before == (
        rows(other, "spans"),
        rows(other, "episodes"),
        rows(other, "verdicts"),
    )


def test_a_late_verdict_goes_with_its_episode(
    tmp_path: Path, recorded: Recorded
) -> None:
    """The reward that counts is the same on the other side."""
    store, ids = recorded
    file, other = tmp_path / "file", tmp_path / "other.db"
    hudtrace("export", ids["rubbish"], "--to", "otlp", "-o", file, store=store)
    hudtrace("import", file, store=other)
    with contextlib.closing(read_only(other)) as db:
        found = queries.episode(db, ids["rubbish"])
        verdicts = queries.verdicts(db, ids["rubbish"])
    assert found is not None
    assert (found.first_reward, found.reward) == (0.0, 0.5)
    assert [verdict.late for verdict in verdicts] == [False, True]


def test_foreign_traces_there_and_back(tmp_path: Path) -> None:
    """Spans of others, with every kind of value, through files of both kinds."""
    request = odd_spans(10**18)
    source = tmp_path / "source.json"
    source.write_bytes(otlp_json.write(request))
    first = tmp_path / "first.db"
    hudtrace("import", source, store=first)
    assert whole(first) == normal(request)
    for to in ("otlp", "jaeger"):
        other = tmp_path / f"{to}.db"
        for number, trace in enumerate(
            {span.trace_id.hex() for span in spans_of(request)}
        ):
            file = tmp_path / f"{to}{number}"
            hudtrace("export", trace, "--to", to, "-o", file, store=first)
            hudtrace("import", file, store=other)
        assert whole(other) == normal(request)


# What is written ----------------------------------------------------------------------


def test_one_episode_is_one_document(recorded: Recorded) -> None:
    """On stdout, and nothing beside; `last` is the newest."""
    store, ids = recorded
    out, err = hudtrace("export", ids["bread"], "--to", "otlp", store=store)
    assert list(json.loads(out)) == ["resourceSpans"]
    assert err == ""
    out, _ = hudtrace("export", "last", "--to", "jaeger", store=store)
    assert len(json.loads(out)["data"]) == 1


def test_episodes_as_lines_of_json(recorded: Recorded) -> None:
    """The facts, the verdicts, what was asked and answered, and all that was said."""
    store, ids = recorded
    out, _ = hudtrace("export", ids["rubbish"], "--to", "jsonl", store=store)
    record = json.loads(out)
    assert record["schema"] == "hudtrace.episode/1"
    assert record["trace_id"] == ids["rubbish"]
    assert record["args"] == {"what": "rubbish"}
    assert record["reward"] == 0.5
    assert [verdict["value"] for verdict in record["verdicts"]] == [0.0, 0.5]
    assert record["prompt"] == "Buy rubbish."
    assert "<script>" in record["answer"]
    (said,) = record["conversations"]
    assert [message["role"] for message in said["input"]] == ["user"]
    assert [message["role"] for message in said["output"]] == ["assistant"]
    out, _ = hudtrace("export", ids["job"], "--to", "jsonl", store=store)
    assert {json.loads(line)["job_id"] for line in out.splitlines()} == {ids["job"]}
    assert len(out.splitlines()) == 6


def test_episodes_as_a_table(recorded: Recorded) -> None:
    """A line for each below the names of the columns; unknown is empty, not 0."""
    store, ids = recorded
    out, _ = hudtrace("export", ids["job"], "--to", "csv", store=store)
    found = list(csv.DictReader(io.StringIO(out)))
    assert len(found) == 6
    assert {row["job_id"] for row in found} == {ids["job"]}
    assert sorted(row["reward"] for row in found) == ["0.0"] * 2 + ["1.0"] * 4
    assert {row["cost"] for row in found} == {""}
    out, _ = hudtrace("export", ids["nothing"], "--to", "csv", store=store)
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["reward"], row["turns"]) == ("", "0")


def test_conversations_to_train_on(recorded: Recorded) -> None:
    """OpenAI's messages, calls of tools and their results with them."""
    store, ids = recorded
    out, _ = hudtrace("export", ids["picture"], "--to", "openai-messages", store=store)
    (line,) = out.splitlines()
    record = json.loads(line)
    roles = [message["role"] for message in record["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant"]
    (asked,) = record["messages"][1]["tool_calls"]
    assert asked["function"]["name"] == "look"
    assert record["messages"][2]["tool_call_id"] == asked["id"]
    assert record["messages"][3]["content"] == "bought"
    assert [tool["function"]["name"] for tool in record["tools"]] == ["look"]
    assert record["metadata"]["reward"] == 1.0
    assert record["metadata"]["trace_id"] == ids["picture"]


def test_an_agent_that_rewrites_its_history_has_two_conversations(
    tmp_path: Path,
) -> None:
    """What was said before is not lost, what goes on is not repeated."""

    def message(role: str, text: str) -> dict[str, Any]:
        return {"role": role, "parts": [{"type": "text", "content": text}]}

    first = [message("user", "a"), message("assistant", "b"), message("user", "c")]
    second = [message("user", "a"), message("user", "summary"), message("user", "d")]
    request = some_spans(3, **{"gen_ai.operation.name": "chat"})
    histories = (first[:1], first, second)
    for span, history, said in zip(spans_of(request), histories, "bde", strict=True):
        inline = {"input": history, "output": [message("assistant", said)]}
        for key, value in inline.items():
            pair = span.attributes.add(key=f"gen_ai.{key}.messages")
            pair.value.string_value = json.dumps(value)
    file, store = tmp_path / "file", tmp_path / "t.db"
    file.write_bytes(request.SerializeToString())
    hudtrace("import", file, store=store)
    trace_id = spans_of(request)[0].trace_id.hex()
    out, _ = hudtrace("export", trace_id, "--to", "openai-messages", store=store)
    said = [
        [message["content"] for message in json.loads(line)["messages"]]
        for line in out.splitlines()
    ]
    assert said == [["a", "b", "c", "d"], ["a", "summary", "d", "e"]]


def test_conversations_that_others_have_recorded(tmp_path: Path) -> None:
    """Spans of other instrumentors, and instructions beside the messages."""
    inference = {
        "openinference.span.kind": "LLM",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "hi",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "hello",
    }
    part = {"type": "text", "content": "be brief"}
    conventions = {
        "gen_ai.operation.name": "chat",
        "gen_ai.system_instructions": json.dumps([part]),
        "gen_ai.input.messages": json.dumps(
            [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
        ),
        "gen_ai.output.messages": json.dumps(
            [{"role": "assistant", "parts": [{"type": "text", "content": "hello"}]}]
        ),
    }
    store, said = tmp_path / "t.db", []
    for number, attributes in enumerate((inference, conventions)):
        request = some_spans(1, **attributes)
        file = tmp_path / f"{number}.pb"
        file.write_bytes(request.SerializeToString())
        hudtrace("import", file, store=store)
        trace_id = spans_of(request)[0].trace_id.hex()
        out, _ = hudtrace("export", trace_id, "--to", "openai-messages", store=store)
        (line,) = out.splitlines()
        said.append([message["content"] for message in json.loads(line)["messages"]])
        _, err = hudtrace("export", trace_id, "--to", "csv", store=store, code=1)
        assert f"trace {trace_id} is none" in err
    assert said == [["hi", "hello"], ["be brief", "hi", "hello"]]


@pytest.mark.parametrize("to", ["md", "html", "perfetto"])
def test_one_episode_to_read(tmp_path: Path, recorded: Recorded, to: str) -> None:
    """For people, and for Perfetto; of a job it is said that one has to be chosen."""
    store, ids = recorded
    out, _ = hudtrace("export", ids["bread"], "--to", to, store=store)
    assert "look" in out
    if to == "perfetto":
        assert json.loads(out)
    _, err = hudtrace("export", ids["job"], "--to", to, store=store, code=1)
    assert f"{to} is of one episode, and {ids['job']} has 6" in err


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, recorded: Recorded
) -> None:
    """What was there stays until all of the new is; a pipe is written into."""
    store, ids = recorded
    file = tmp_path / "out.json"
    file.write_text("before")
    hudtrace("export", ids["bread"], "--to", "otlp", "-o", file, store=store)
    assert json.loads(file.read_text())
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    _, err = hudtrace(
        "export",
        ids["bread"],
        "--to",
        "otlp",
        "-o",
        tmp_path / "no" / "folder",
        store=store,
        code=1,
    )
    assert "No such file" in err
    out, _ = hudtrace(
        "export", ids["bread"], "--to", "otlp", "-o", "/dev/stdout", store=store
    )
    assert json.loads(out)


def test_what_cannot_be_found_is_said(tmp_path: Path, recorded: Recorded) -> None:
    """No such trace, no such format, no store."""
    store, _ = recorded
    _, err = hudtrace("export", "ffff0000", "--to", "otlp", store=store, code=1)
    assert "no trace begins with 'ffff0000'" in err
    _, err = hudtrace("export", "last", "--to", "word", store=store, code=2)
    assert "openai-messages" in err
    _, err = hudtrace("export", "last", "--to", "otlp", store=tmp_path / "no", code=1)
    assert "no trace store" in err


# What is read -------------------------------------------------------------------------


def test_import_says_what_is_wrong(tmp_path: Path) -> None:
    """No file, a strange file: the message, 1, and nothing changed."""
    store, strange = tmp_path / "t.db", tmp_path / "strange.txt"
    strange.write_text("hello")
    _, err = hudtrace("import", tmp_path / "no", store=store, code=1)
    assert f"there is no file {tmp_path / 'no'}" in err
    _, err = hudtrace("import", strange, store=store, code=1)
    assert "strange.txt is neither JSON nor protobuf" in err
    assert "expected OTLP JSON" in err
    _, err = hudtrace("import", strange, store=Path("off"), code=1)
    assert "the store is off" in err


def test_what_comes_before_a_damaged_place_is_in_the_store(tmp_path: Path) -> None:
    """A file that was cut off gives what it has; the rest may come later."""
    one, two = some_spans(3), some_spans(4)
    lines = otlp_json.write(one) + b"\n" + otlp_json.write(two)
    file, store = tmp_path / "file", tmp_path / "t.db"
    file.write_bytes(lines[:-20])
    _, err = hudtrace("import", file, store=store, code=1)
    assert "line 2 is cut off" in err
    assert whole(store) == normal(one)
    file.write_bytes(lines)
    out, _ = hudtrace("import", file, store=store)
    assert out == "4 new spans, 3 were there already; 2 traces\n"


def test_spans_that_are_refused_are_told(tmp_path: Path) -> None:
    """The others are imported, and the exit code says that not all were."""
    request = some_spans(3)
    spans_of(request)[1].span_id = b"x"
    file, store = tmp_path / "file", tmp_path / "t.db"
    file.write_bytes(request.SerializeToString())
    out, err = hudtrace("import", file, store=store, code=1)
    assert out == "2 new spans, 1 refused; 1 trace\n"
    assert "1 span refused: span_id is not 8 bytes" in err


def test_many_spans_are_imported_a_few_at_a_time(tmp_path: Path) -> None:
    """A file of 60,000 spans, a line for each request."""
    file, store = tmp_path / "file", tmp_path / "t.db"
    requests = [some_spans(1000) for _ in range(60)]
    with file.open("wb") as out:
        for request in requests:
            out.write(otlp_json.write(request) + b"\n")
    out, _ = hudtrace("import", file, store=store)
    assert out == "60000 new spans; 60 traces\n"


def test_running_episodes_are_exported_as_far_as_they_are(
    tmp_path: Path, recorded: Recorded
) -> None:
    """It is said that spans are left out, since they have no end."""
    store = tmp_path / "t.db"
    shutil.copy(recorded[0], store)
    trace_id = recorded[1]["bread"]
    import sqlite3

    with contextlib.closing(sqlite3.connect(store)) as db, db:
        db.execute(
            "INSERT INTO open_spans SELECT span_id, trace_id, parent_id, name, start, "
            "'gone', body FROM spans WHERE trace_id = ? AND parent_id IS NULL",
            (bytes.fromhex(trace_id),),
        )
        db.execute(
            "DELETE FROM spans WHERE trace_id = ? AND parent_id IS NULL",
            (bytes.fromhex(trace_id),),
        )
    out, err = hudtrace("export", trace_id, "--to", "otlp", store=store)
    assert "1 span has not ended" in err
    assert json.loads(out)
