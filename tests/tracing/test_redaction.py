"""Secrets: planted everywhere, found nowhere."""

from __future__ import annotations

import dataclasses
import json
import logging
import random
import time
from pathlib import Path
from typing import Any

import pydantic
import pytest
from anthropic import AsyncAnthropic
from google import genai
from google.genai import types
from openai import AsyncOpenAI

import hudtrace as hud
from hudtrace import runtime
from hudtrace.backends import Backend, Parcel, Receipt
from hudtrace.store import queries
from hudtrace.testing import ScriptedModel, call, say
from hudtrace.tracing import credentials
from hudtrace.tracing.content import ContentEncoder
from hudtrace.tracing.credentials import is_secret_name
from hudtrace.tracing.redaction import ENDLESS, REDACTED, Redactor

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\n-----END RSA PRIVATE KEY-----"
)

TEXTS = {
    "openai key": ("key sk-proj-abcDEF0123456789abcd here", "sk-proj-abc"),
    "anthropic key": ("sk-ant-api03-abcdefghijklmnop", "abcdefghijklmnop"),
    "github token": ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abc"),
    "github pat": ("github_pat_11ABCDEFG0abcdefghijklmnop", "11ABCDEFG"),
    "aws key": ("id AKIAIOSFODNN7EXAMPLE.", "AKIAIOS"),
    "google key": ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "AIzaSy"),
    "slack token": ("xoxb-123456789012-abcdefghijkl", "xoxb-123"),
    "gitlab token": ("glpat-abcdefghij0123456789", "glpat-abc"),
    "hugging face": ("hf_abcdefghijklmnopqrstuvwx", "hf_abc"),
    "jwt": (f"token is {JWT} ok", "eyJzdWIi"),
    "private key": (f"file:\n{PEM}\nend", "MIIEpAIB"),
    "bearer": ("Authorization: Bearer abc123def456ghi", "abc123def456ghi"),
    "basic": ("authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNz"),
    "userinfo": ("postgres://admin:hunter2x@db.local/x", "hunter2x"),
    "query": ("https://x.test/?api_key=s3cr3tvalue&page=2", "s3cr3tvalue"),
    "json": ('{"user": "u", "password": "hunter2y"}', "hunter2y"),
    "escaped json": (r'"{\"client_secret\": \"hunter2z\", \"n\": 1}"', "hunter2z"),
    "twice escaped": (r"{\\\"access_token\\\": \\\"hunter2q\\\"}", "hunter2q"),
    "python repr": ("{'api_key': 'hunter2w', 'x': 1}", "hunter2w"),
    "header list": ('[("x-api-key", "hunter2v"), ("a", "b")]', "hunter2v"),
    "assignment": ("export OPENAI_API_KEY=hunter2u99", "hunter2u99"),
    "cookie": ("Cookie: session=hunter2s88; path=/", "hunter2s88"),
    "number": ('{"password": 1234567}', "1234567"),
    "quote inside": (r'{"password": "abc\"hunter2t"}', "hunter2t"),
    "quote inside, escaped": (r'"{\"password\": \"ab\\\"hunter2r\"}"', "hunter2r"),
    "other key": ("SECRET_KEY = 'django-hunter2p'", "hunter2p"),
    "at sign in it": ("amqp://guest:p@hunter2o@queue/vhost", "hunter2o"),
    "scheme alone": ("Authorization: token hunterxyz", "hunterxyz"),
    "capital that grows": ("\u0130\u0130 password=hunter2n", "hunter2n"),
    "groq": ("key gsk_AbCdEf0123456789AbCdEf0123456789 here", "gsk_AbC"),
    "xai": ("xai-AbCdEf0123456789AbCdEf0123456789", "xai-AbC"),
    "perplexity": ("pplx-0123456789abcdef0123456789abcdef", "0123456789abc"),
    "nvidia": ("nvapi-Ab_Cd-Ef0123456789AbCdEf0123456789", "Ef01234567"),
    "replicate": ("r8_AbCdEf0123456789AbCdEf0123456789abc", "r8_AbC"),
    "fireworks": ("fw_3ZabCdEf0123456789AbCd", "fw_3Z"),
    "cerebras": ("csk-abcdef0123456789abcdef0123456789", "csk-abc"),
    "together": ("tgp_v1_AbCdEf0123456789-AbCdEf0123456789", "AbCdEf012"),
    "jina": ("jina_0123456789abcdef0123456789abcdefAbCd", "jina_0"),
    "tavily": ("tvly-dev-AbCdEf0123456789AbCdEf", "AbCdEf012"),
    "tavily, older": ("tvly-AbCdEf0123456789AbCdEf", "AbCdEf012"),
    "firecrawl": ("fc-0123456789abcdef0123456789abcdef", "0123456789a"),
    "e2b": ("e2b_0123456789abcdef0123456789abcdef01234567", "e2b_0"),
    "langsmith": ("lsv2_pt_0123456789abcdef0123456789abcdef_0123", "pt_0123"),
    "pinecone": ("pcsk_AbCdE_0123456789AbCdEf0123456789", "AbCdE_0"),
    "stripe": ("sk_live_AbCdEf0123456789 rest", "AbCdEf0"),
    "stripe, restricted": ("rk_live_AbCdEf0123456789", "AbCdEf0"),
    "stripe, of tests": ("sk_test_AbCdEf0123456789", "AbCdEf0"),
    "stripe's hooks": ("whsec_AbCdEf0123456789AbCdEf", "AbCdEf0"),
    "npm": ("npm_AbCdEf0123456789AbCdEf0123456789AbCd", "npm_AbC"),
    "pypi": ("pypi-AgEIcHlwaS5vcmcCJGFiY2RlZi0xMjM0NTY3", "EIcHlwaS"),
    "digitalocean": ("dop_v1_0123456789abcdef0123456789abcdef", "dop_v1_0"),
    "shopify": ("shpat_0123456789abcdef0123456789abcdef", "shpat_0"),
    "sendgrid": ("SG.AbCdEf0123456789AbCdEf.AbCdEf0123456789AbCd", "AbCdEf0"),
    "google's oauth": ("ya29.a0AfH6SMB0123456789_AbCdEf-0123", "a0AfH6"),
    "google's client": ("GOCSPX-AbCdEf0123456789-AbCdEf_0", "AbCdEf0"),
    "vault": ("hvs.CAESIAbCdEf0123456789AbCdEf", "CAESI"),
    "linear": ("lin_api_AbCdEf0123456789AbCdEf0123456789", "AbCdEf0"),
    "notion": ("ntn_0123456789AbCdEf0123456789AbCdEf0123", "ntn_0"),
    "bedrock": (f"ABSK{'QmVkcm9ja0FQSUtleS0' * 4}==", "QmVkcm9"),
    "unclosed": ('{"token": "hunter2m', "hunter2m"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_known_shapes(name: str) -> None:
    """Each kind of credential is taken out of a text."""
    text, secret = TEXTS[name]
    clean = Redactor().text(text)
    assert secret not in clean
    assert REDACTED in clean


_BREAKS = ["\u00a0", "\n", " ", "\u2014", "s", '"', "'", "\\", ":", "=", "\ud800", "é"]
_BREAKS += ["\t", "\x1c", "\x0b", "\r\n", "\\n"]


def broken(pick: random.Random) -> str:
    """Return a text with a secret, damaged here and there."""
    text = pick.choice([text for text, _ in TEXTS.values()])
    for _ in range(pick.randrange(4)):
        at = pick.randrange(len(text))
        text = text[:at] + pick.choice(_BREAKS) + text[at + pick.randrange(2) :]
    return text.upper() if pick.random() < 0.1 else text


def test_fast_scans_miss_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a text is scanned for first lets nothing pass that a full search finds."""
    pick = random.Random(7)
    texts = [broken(pick) + " " * pick.choice([0, 3000]) for _ in range(3000)]
    redactor = Redactor(["hunter2", "pässword1"])
    fast = [redactor.text(text) for text in texts]
    monkeypatch.setattr(credentials.Gate, "may_match", lambda self, text: True)
    redactor = Redactor(["hunter2", "pässword1"])
    assert fast == [redactor.text(text) for text in texts]
    assert 1000 < sum(REDACTED in text for text in fast) < 3000


def test_a_value_may_be_scanned_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written of a value is the same as if each text in it were searched."""
    pick = random.Random(11)
    names = ["password", "X-Api-Key", "accessToken", "cookie", "authorization", "name"]
    secrets = ['hun"ter\n2', "pässword1", "a\\\\b+c/d"]

    def value() -> Any:
        text = broken(pick)
        name = pick.choice(names) + pick.choice(["", "", "\n", "s", " ", '"'])
        short = pick.choice(["x1", "abcdef", 123456, secrets[0], None])
        escaped = json.dumps(pick.choice(secrets))
        return pick.choice(
            [
                {"role": "user", "parts": [{"type": "text", "content": text}]},
                {"arguments": {name: short}},
                [name, short],
                {"pairs": [[name, short], ["b", "c"]]},
                {name: [short, {"deep": short}]},
                {"content": f"{name}{pick.choice(_BREAKS)}: {short}"},
                {"content": json.dumps({name: short, "escaped": escaped})},
                {text: 1},
                {"content": escaped, "bytes": text.encode("utf-8", "replace")},
            ]
        )

    values = [value() for _ in range(3000)]
    fast = [ContentEncoder(Redactor(secrets)).json(each).body for each in values]
    monkeypatch.setattr(credentials.Gate, "may_match", lambda self, text: True)
    encoder = ContentEncoder(Redactor(secrets))
    assert fast == [encoder.json(each).body for each in values]
    assert 1000 < sum(REDACTED.encode() in body for body in fast) < 3000


@pytest.mark.parametrize(
    "text",
    [
        "the password is checked by the server",
        "input_tokens: 512, max_tokens=100",
        '{"usage": {"prompt_tokens": 12, "total_tokens": 30}}',
        "https://example.com/a?page=2#top",
        "author: Jane, authority: none",
        "a basic understanding of tokens",
        "skill sk-1 and task-sk",
        "see user@example.com or http://host:8080/x",
        '{"required": ["password", "name"], "type": "object"}',
        "the bearer certificates of the bank",
        "a monkey: keyboard-1234567890, turkey=4",
        "pplx-70b-online, xai-grok-4-latest, nvapi-example, fc-west, csk-none",
        "fw_configurationmanagerfactory, npm_config_registry, jina_embeddings_v3",
        "sk_live_mode, rk_test_x, SG.team.example, hvs.dev, gsk_key, r8_2024",
        "tvly-search-advanced, whsec_ is what it begins with, e2b_sandbox_template",
    ],
)
def test_plain_text_is_left_alone(text: str) -> None:
    """Text without a credential is unchanged."""
    assert Redactor().text(text) == text


def test_values_under_secret_names() -> None:
    """In data, what a secret name holds is redacted whole; counts are not."""
    data = {
        "password": "x",
        "apiKey": "abc",
        "nested": [{"X-API-Key": "abc", "token": 123456}],
        "headers": [["Authorization", "short"], ["Accept", "json"]],
        "input_tokens": 12,
        "max_tokens": 100,
        "tokens": 7,
        "ok": True,
    }
    clean = Redactor().value(data)
    assert clean["password"] == clean["apiKey"] == REDACTED
    assert clean["nested"] == [{"X-API-Key": REDACTED, "token": REDACTED}]
    assert clean["headers"] == [["Authorization", REDACTED], ["Accept", "json"]]
    assert (clean["input_tokens"], clean["max_tokens"], clean["tokens"]) == (12, 100, 7)
    assert not is_secret_name("hud.tool.errors")


def test_a_schema_is_left_alone() -> None:
    """A list of names that has two of them is no header."""
    schema = {
        "properties": {"token": {"type": "string"}, "x": {"enum": ["secret", "no"]}},
        "required": ["token", "x"],
    }
    assert Redactor().value(schema) == schema


def test_every_place_of_a_value() -> None:
    """Keys, bytes, sets, models and pairs in tuples are looked into."""

    class Account(pydantic.BaseModel):
        password: str = "hunter2a"
        note: bytes = b"api_key=hunter2b9"

    @dataclasses.dataclass
    class Login:
        token: str = "hunter2c"

    value = {
        "password=hunter2d9": 1,
        "raw": b"password=hunter2e9",
        "set": {"password=hunter2f9"},
        "models": [Account(), Login()],
        "pairs": [("x-token", "hunter2g"), ("a", "b")],
        "pair": ("Authorization", "hunter2h"),
        1: "password=hunter2i9",
    }
    clean = Redactor().value(value)
    assert "hunter2" not in json.dumps(clean)
    assert clean["pairs"][1] == ["a", "b"]


def test_odd_values() -> None:
    """Cycles, depth and things that refuse to be text give a mark, never an error."""
    cycle: list[Any] = [1]
    cycle += [cycle, cycle]
    deep: Any = "x"
    for _ in range(10_000):
        deep = [deep]

    class Refusing:
        def __str__(self) -> str:
            raise RuntimeError("no")

        __repr__ = __str__

    clean = Redactor().value([cycle, deep, Refusing(), {object(): object}])
    assert clean[0] == [1, ENDLESS, ENDLESS]
    assert ENDLESS in json.dumps(clean[1])
    assert clean[2] == "<Refusing>"


@pytest.mark.parametrize(
    "piece",
    [
        "token:",
        "token: ",
        "password='",
        '"token": "',
        r"\"key\": \"",
        "eyJ",
        "eyJ-",
        "-----BEGIN PRIVATE KEY-----",
        "://a:",
        "bearer ",
        "basic A",
        "\\",
        '("token", ',
        "sk-",
        "a token=",
    ],
)
def test_time_is_linear(piece: str) -> None:
    """Eight times the text takes about eight times as long, whatever it is."""

    def cpu(size: int) -> float:
        text = piece * (size // len(piece))
        taken = []
        for _ in range(3):
            start = time.thread_time()
            Redactor().text(text)
            taken.append(time.thread_time() - start)
        return min(taken)

    cpu(1000)
    assert cpu(320_000) < 30 * cpu(40_000)


def test_literal_secrets_in_every_form() -> None:
    """A value of the environment is found raw, quoted, escaped and in base64."""
    secret = 'pa"ss wörd/1'
    redactor = Redactor([secret])
    for form in (
        secret,
        json.dumps(secret),
        json.dumps(json.dumps(secret)),
        "pa%22ss%20w%C3%B6rd%2F1",
        "cGEic3Mgd8O2cmQvMQ==",
    ):
        assert "rd" not in redactor.text(f"<{form}>").replace(REDACTED, ""), form


def test_custom_redaction() -> None:
    """`redact=` sees each text; if it raises, the text is dropped, not kept."""
    redactor = Redactor(custom=lambda text: text.replace("Jane", "J."))
    assert redactor.text("Jane Doe") == "J. Doe"

    def broken(text: str) -> str:
        raise RuntimeError("no")

    redactor = Redactor(custom=broken)
    assert "Jane" not in redactor.text("Jane Doe")
    assert redactor.failures == 1


async def test_planted_secrets_are_nowhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Arguments, results, exceptions, URLs, headers: not in store, export or logs."""
    caplog.set_level(logging.DEBUG, logger="hudtrace")
    planted = "planted-environment-value-77"
    monkeypatch.setenv("SOME_SERVICE_TOKEN", planted)
    store = tmp_path / "t.db"
    exported: list[bytes] = []
    hud.configure(store=store, exporters=[Kept(exported)], quiet=True)
    everything = " | ".join(text for text, _ in TEXTS.values()) + " | " + planted
    env = hud.Environment("leaky")

    @env.tool
    def leak(password: str, note: str, headers: dict[str, str]) -> dict[str, Any]:
        """Leak."""
        return {"note": everything, "api_key": "short", "got": note}

    @env.tool
    def fail(text: str) -> str:
        """Fail."""
        raise hud.ToolError(everything)

    @env.scenario("one")
    async def one(note: str = everything) -> Any:
        yield f"please use {everything}"
        yield hud.Grade(1.0, explanation=everything, info={"seen": everything})

    script = [
        call(
            (
                "leak",
                {
                    "password": "hunter2-short",
                    "note": everything,
                    "headers": {"Authorization": "Bearer xyz", "X-Api-Key": "k1"},
                },
            ),
            ("fail", {"text": everything}),
        ),
        say(everything),
    ]
    with ScriptedModel(script) as model:
        url = model.url.replace("http://", "http://user:hunter2-url@")
        async with AsyncOpenAI(base_url=model.url, api_key=planted) as client:
            async with hud.eval(
                one(note=everything), metadata={"url": url, "token": "abc"}
            ) as ctx:
                messages: list[Any] = [{"role": "user", "content": ctx.prompt}]
                for _ in range(2):
                    answer = await client.chat.completions.create(
                        model="scripted-1",
                        messages=messages,
                        tools=ctx.as_openai_chat_tools(),
                    )
                    message = answer.choices[0].message
                    messages.append(message)
                    messages += await ctx.call_tools(message.tool_calls or [])
                await ctx.submit(message.content)
    assert ctx.result.answer == everything
    with pytest.raises(ValueError):
        async with hud.eval(one()) as ctx:
            raise ValueError(everything)
    assert hud.flush(10)
    out = capfd.readouterr()
    assert "failed" not in out.err
    places = {
        "store": store.read_bytes() + Path(f"{store}-wal").read_bytes(),
        "export": b"".join(exported),
        "logs": (caplog.text + out.out + out.err).encode(),
    }
    assert b"[redacted]" in places["store"]
    assert b"[redacted]" in places["export"]
    secrets = [secret for _, secret in TEXTS.values()]
    secrets += [planted, "hunter2-short", "hunter2-url", "Bearer xyz"]
    assert len(secrets) >= 20
    for place, data in places.items():
        for secret in secrets:
            assert secret.encode() not in data, (place, secret)


class Kept(Backend):
    """Keeps the requests that are sent."""

    name = "kept"
    local = True

    def __init__(self, sink: list[bytes]) -> None:
        self._sink = sink

    def open(self) -> Kept:
        return self

    def send(self, parcel: Parcel, timeout: float | None = None) -> Receipt:
        self._sink.append(parcel.request)
        return Receipt()

    def close(self) -> None: ...


GATEWAY_KEY = "internal-gateway-token-abc987"


@pytest.mark.parametrize("given_by", ["value", "function"])
async def test_a_key_given_to_a_client_is_a_secret(
    store: Path, task: hud.Task, given_by: str
) -> None:
    """From the first call on, wherever it appears and whatever it looks like."""
    key = f"{GATEWAY_KEY}-{given_by}"

    async def provide() -> str:
        return key

    given: Any = key if given_by == "value" else provide
    with ScriptedModel([say(f"you sent {key}")]) as model:
        async with (
            AsyncOpenAI(base_url=model.url, api_key=given) as client,
            hud.eval(task) as e,
        ):
            answer = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": f"it is {key}"}]
            )
            await e.submit(answer.choices[0].message.content)
    assert hud.flush(10)
    assert key in str(e.result.answer)
    assert key.encode() not in everything_in(store)
    assert b"you sent" in everything_in(store)


async def test_other_clients_keys_are_secrets(store: Path, task: hud.Task) -> None:
    """Those given to Anthropic's and Google's clients."""
    keys = [f"{GATEWAY_KEY}-{n}" for n in range(3)]
    with ScriptedModel([say(f"not {', '.join(keys)}")] * 3) as model:
        async with hud.eval(task) as e:
            for claude in (
                AsyncAnthropic(base_url=model.origin, api_key=keys[0]),
                AsyncAnthropic(base_url=model.origin, auth_token=keys[1]),
            ):
                async with claude as client:
                    await client.messages.create(
                        model="m",
                        max_tokens=9,
                        messages=[{"role": "user", "content": "x"}],
                    )
            http = types.HttpOptions(base_url=model.origin)
            with genai.Client(api_key=keys[2], http_options=http) as google:
                google.models.generate_content(model="m", contents="x")
            await e.submit(" ".join(keys))
    assert hud.flush(10)
    assert e.result.turns == 3
    assert GATEWAY_KEY.encode() not in everything_in(store)


async def test_a_placeholder_is_no_secret(store: Path, task: hud.Task) -> None:
    """What is written where a key is not needed stays a word like others."""
    words = ["x", "EMPTY", "test", "not-needed", "your-api-key-here", "placeholder"]
    with ScriptedModel([say("ok")] * len(words)) as model:
        async with hud.eval(task) as e:
            for word in words:
                async with AsyncOpenAI(base_url=model.url, api_key=word) as client:
                    await client.chat.completions.create(
                        model="m", messages=[{"role": "user", "content": "x"}]
                    )
            await e.submit(f"say {' '.join(words)}")
    assert hud.flush(10)
    assert " ".join(words).encode() in everything_in(store)


def everything_in(store: Path) -> bytes:
    """Return every byte of the store, what is compressed read out."""
    with runtime.get_runtime().pipeline.reading() as db:
        ids = [row[0] for row in db.execute("SELECT DISTINCT trace_id FROM spans")]
        found = [queries.spans(db, trace_id.hex()) for trace_id in ids]
    return repr(found).encode() + b"".join(
        file.read_bytes() for file in store.parent.glob(f"{store.name}*")
    )
