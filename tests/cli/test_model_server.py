"""`hudtrace model-server`: four wire formats on one port, from a script or an echo."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest
from anthropic import Anthropic
from google import genai

from hudtrace.cli import main
from hudtrace.testing import scripts


@contextmanager
def serving(*options: str) -> Iterator[str]:
    """Run the command on a free port; give the server's origin; stop it by Ctrl-C."""
    command = [sys.executable, "-m", "hudtrace", "model-server", "--port", "0"]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            found = re.search(r"base_url=(\S+)/v1", server.stdout.readline())
            assert found is not None
            yield found.group(1)
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(10) == 130


def test_it_echoes_in_every_format() -> None:
    """Without a script it says what it was told, to all four APIs."""
    with serving() as origin:
        with openai.OpenAI(base_url=f"{origin}/v1", api_key="k") as client:
            chat = client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "a"}]
            )
            assert chat.choices[0].message.content == "You said: a"
            answer = client.responses.create(model="m", input="b")
            assert answer.output_text == "You said: b"
        with Anthropic(base_url=origin, api_key="k") as claude:
            message = claude.messages.create(
                model="m", max_tokens=9, messages=[{"role": "user", "content": "c"}]
            )
            assert [b.type for b in message.content] == ["text"]
            assert "You said: c" in message.to_json()
        gemini = genai.Client(api_key="k", http_options={"base_url": origin})
        said = gemini.models.generate_content(model="m", contents="d")
        assert said.text == "You said: d"
        gemini.close()


def test_it_follows_a_script(tmp_path: Path) -> None:
    """Replies come in order and again from the start: texts, calls, errors."""
    script = tmp_path / "script.json"
    calls = [{"name": "look", "arguments": {"x": 1}}]
    busy = {"status": 503, "message": "busy"}
    script.write_text(json.dumps(["hello", {"calls": calls}, busy]))
    with serving("--script", str(script)) as origin:
        with openai.OpenAI(
            base_url=f"{origin}/v1", api_key="k", max_retries=0
        ) as client:

            def ask() -> object:
                done = client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "a"}]
                )
                return done.choices[0].message

            assert "hello" in str(ask())
            assert "look" in str(ask())
            with pytest.raises(openai.InternalServerError, match="busy"):
                ask()
            assert "hello" in str(ask())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "Expecting"),
        ("[]", "not empty"),
        ("[3]", "reply 0 is neither a text nor an object: 3"),
        ('["a", {"txt": "b"}]', "reply 1 has the unknown field 'txt'"),
        ('[{"calls": [{"arguments": {}}]}]', "reply 0: calls is a list of"),
    ],
)
def test_a_bad_script_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, problem: str
) -> None:
    """What is wrong with a script is said, with its place; exit code 1."""
    script = tmp_path / "script.json"
    script.write_text(text)
    assert main(["model-server", "--script", str(script)]) == 1
    assert problem in capsys.readouterr().err


def test_help_lists_the_fields_of_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    """Every field that a reply of a script may have is in the help."""
    with pytest.raises(SystemExit):
        main(["model-server", "--help"])
    shown = capsys.readouterr().out
    for field in scripts._PLAIN_FIELDS:
        assert f"\n  {field} " in shown


def test_a_port_in_use_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """A port that is taken is said, with the way out; exit code 1."""
    with serving() as origin:
        port = origin.rpartition(":")[2]
        assert main(["model-server", "--port", port]) == 1
    assert f"cannot serve on port {port}" in capsys.readouterr().err
