"""google.generativeai, the library before google-genai, in an environment of its own.

It needs an older protobuf than others do: `make test-gemini-legacy` runs this.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pydantic
import pytest
from opentelemetry import context as otel_context

import hudtrace as hud
from hudtrace import runtime
from hudtrace.dialects import gemini
from hudtrace.messages import ModelReply, Usage
from hudtrace.store import queries
from hudtrace.testing import (
    CapturedSpan,
    ScriptedModel,
    ScriptedReply,
    call,
    captured_spans,
    error,
    say,
    span_tree,
)
from hudtrace.tools import Tool

with warnings.catch_warnings():  # it says that its time has passed
    warnings.simplefilter("ignore")
    genai: Any = pytest.importorskip(
        "google.generativeai",
        reason="google-generativeai is not here; make test-gemini-legacy runs this",
    )

import grpc
from google.ai import generativelanguage as glm
from google.ai.generativelanguage_v1beta.services.generative_service import (
    transports,
)
from google.api_core import exceptions

USAGE = Usage(input_tokens=100, output_tokens=20, cached_tokens=60)
TEXT = "one two three four five six"
MODEL = "scripted-1"

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture
def replies() -> list[ScriptedReply]:
    """What the model answers; a test may change it."""
    return [say(TEXT, usage=USAGE)] * 4


@pytest.fixture
def served(replies: list[ScriptedReply]) -> Iterator[ScriptedModel]:
    """A scripted model that the library is configured for, over REST."""
    with ScriptedModel(replies) as served:
        configure(served)
        yield served


def configure(served: ScriptedModel) -> None:
    """Point the library to the scripted model."""
    where = {"api_endpoint": served.origin}
    genai.configure(api_key="scripted", transport="rest", client_options=where)


@pytest.fixture
def spans(store: object) -> Iterator[list[CapturedSpan]]:
    """The spans that end during the test; the context must not have changed."""
    before = otel_context.get_current()
    with captured_spans() as caught:
        yield caught
    assert otel_context.get_current() == before


@pytest.fixture
def the_span(spans: list[CapturedSpan]) -> Callable[[], Any]:
    """The one chat span of the test, as it is stored, and its reply's text."""

    def find() -> tuple[queries.StoredSpan, str]:
        gc.collect()
        for _ in range(200):
            if spans:
                break
            time.sleep(0.01)
        assert [span.name for span in spans] == ["chat scripted-1"]
        assert hud.flush(10)
        with runtime.get_runtime().pipeline.reading() as db:
            (span,) = queries.spans(db, spans[0].trace_id)
            conversation = queries.conversation(db, span)
        assert conversation is not None
        said = [part.get("content") for m in conversation.output for part in m["parts"]]
        return span, "".join(map(str, said))

    return find


# REST -----------------------------------------------------------------------------


def plain(model: Any) -> str:
    return str(model.generate_content("count").text)


def stream(model: Any) -> str:
    return "".join(chunk.text for chunk in model.generate_content("x", stream=True))


def chat_plain(model: Any) -> str:
    return str(model.start_chat().send_message("count").text)


def chat_stream(model: Any) -> str:
    chunks = model.start_chat().send_message("count", stream=True)
    return "".join(chunk.text for chunk in chunks)


SURFACES = [plain, stream, chat_plain, chat_stream]


def check_whole(span: Any, said: str) -> None:
    """The span of an answer that was read to its end."""
    got = span.attributes
    assert got["gen_ai.usage.input_tokens"] == 100
    assert got["gen_ai.usage.output_tokens"] == 20
    assert got["gen_ai.usage.cache_read.input_tokens"] == 60
    assert got["gen_ai.response.finish_reasons"] == ["stop"]
    assert got["gen_ai.provider.name"] == "gcp.gemini"
    assert got["server.address"] == "127.0.0.1"
    assert "hud.response.incomplete" not in got
    assert span.status == 0
    assert said == TEXT


@pytest.mark.parametrize("surface", SURFACES, ids=lambda f: f.__name__)
def test_surfaces(
    surface: Callable[[Any], str], served: ScriptedModel, the_span: Any
) -> None:
    """A surface read to its end is one whole span."""
    assert surface(genai.GenerativeModel(MODEL)) == TEXT
    span, said = the_span()
    check_whole(span, said)
    streams = "stream" in surface.__name__
    assert span.attributes["gen_ai.request.stream"] is streams
    assert ("gen_ai.response.time_to_first_chunk" in span.attributes) is streams


@pytest.mark.parametrize("surface", SURFACES, ids=lambda f: f.__name__)
def test_errors(
    surface: Callable[[Any], str],
    served: ScriptedModel,
    the_span: Any,
    replies: list[ScriptedReply],
) -> None:
    """An error status is raised to the user and marked on the one span."""
    replies[0] = error(400, "not like this")
    with pytest.raises(exceptions.BadRequest):
        surface(genai.GenerativeModel(MODEL))
    span, _ = the_span()
    assert span.status == 2
    assert span.attributes["error.type"].endswith("BadRequest")
    assert span.attributes["http.response.status_code"] == 400


def test_a_stream_that_is_dropped(
    served: ScriptedModel, the_span: Any, replies: list[ScriptedReply]
) -> None:
    """A stream that is not read to its end still ends its span, marked so."""
    replies[0] = say(TEXT * 50, chunk_delay=0.002)
    for _ in genai.GenerativeModel(MODEL).generate_content("x", stream=True):
        break
    span, said = the_span()
    assert span.attributes["hud.response.incomplete"] == "abandoned"
    assert said.startswith("one")


# gRPC -----------------------------------------------------------------------------

SERVICE = "google.ai.generativelanguage.v1beta.GenerativeService"
ANSWER = ModelReply(
    [{"role": "assistant", "parts": [{"type": "text", "content": TEXT}]}],
    ["stop"],
    usage=USAGE,
)


def message(wire: Any) -> Any:
    """Make a response of the JSON that the API would send."""
    return glm.GenerateContentResponse.from_json(
        json.dumps(wire), ignore_unknown_fields=True
    )


def answer_whole(request: Any, context: Any) -> Any:
    return message(gemini.write_response(ANSWER))


def answer_streamed(request: Any, context: Any) -> Iterator[Any]:
    for chunk in gemini.write_chunks(ANSWER, split=lambda text: [text[:3], text[3:]]):
        yield message(chunk)


@pytest.fixture
def port() -> Iterator[int]:
    """A gRPC server that answers as the scripted model would; its port."""
    encodings = {
        "request_deserializer": glm.GenerateContentRequest.deserialize,
        "response_serializer": glm.GenerateContentResponse.serialize,
    }
    methods = {
        "GenerateContent": grpc.unary_unary_rpc_method_handler(
            answer_whole, **encodings
        ),
        "StreamGenerateContent": grpc.unary_stream_rpc_method_handler(
            answer_streamed, **encodings
        ),
    }
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(SERVICE, methods)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


@pytest.mark.parametrize("surface", SURFACES, ids=lambda f: f.__name__)
def test_grpc(surface: Callable[[Any], str], port: int, the_span: Any) -> None:
    """Over gRPC, too, a surface read to its end is one whole span."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        transport = transports.GenerativeServiceGrpcTransport(
            channel=channel, host=f"127.0.0.1:{port}"
        )
        model = genai.GenerativeModel(MODEL)
        model._client = glm.GenerativeServiceClient(transport=transport)
        assert surface(model) == TEXT
    check_whole(*the_span())


@pytest.mark.parametrize("streamed", [False, True])
async def test_grpc_async(streamed: bool, port: int, the_span: Any) -> None:
    """So is one of the async client, which has only gRPC."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        transport = transports.GenerativeServiceGrpcAsyncIOTransport(
            channel=channel, host=f"127.0.0.1:{port}"
        )
        model = genai.GenerativeModel(MODEL)
        model._async_client = glm.GenerativeServiceAsyncClient(transport=transport)
        answer = await model.generate_content_async("x", stream=streamed)
        if streamed:
            assert "".join([chunk.text async for chunk in answer]) == TEXT
        else:
            assert answer.text == TEXT
    check_whole(*the_span())


# Tools ----------------------------------------------------------------------------

CALL = glm.FunctionCall(name="lookup_ceo", args={"company": "HUD"})


async def called(env: hud.Environment, native: Any) -> Any:
    """Call a tool of the environment within an eval."""
    async with hud.eval(env("initials", company="HUD")) as ctx:
        answer = await ctx.call_tool(native)
        await ctx.submit("JR")
    return answer


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    "native", [glm.Part(function_call=CALL), CALL], ids=["part", "call"]
)
async def test_call_tool(native: Any, env: hud.Environment) -> None:
    """An object of the library is answered by its own part."""
    answer = await called(env, native)
    assert isinstance(answer, glm.Part)
    assert answer.function_response.name == "lookup_ceo"
    assert dict(answer.function_response.response) == {"result": "Jay Ram"}


@pytest.mark.usefixtures("store")
async def test_call_tool_with_errors(env: hud.Environment) -> None:
    """A mistake of the model comes back as an error in the same form."""
    answer = await called(env, glm.Part(function_call={"name": "no_such_tool"}))
    assert "unknown tool" in answer.function_response.response["error"]


def test_arguments_are_plain() -> None:
    """Arguments are plain Python, with integers where protobuf has only floats."""
    arguments = {"a": 1, "b": 2.5, "c": [1, {"d": None}], "e": True}
    read = gemini.parse(glm.FunctionCall(name="f", args=arguments))
    assert read is not None
    assert read.arguments == arguments
    assert isinstance(read.arguments["a"], int)
    assert gemini.parse(glm.Part(text="x")) is None
    assert gemini.parse(glm.Part()) is None


class Filters(pydantic.BaseModel):
    """Narrow it."""

    role: Literal["ceo", "cto"]
    tags: list[str] = pydantic.Field(default=[], max_length=3)
    age: int | str | None = pydantic.Field(None)


def search(filters: Filters, meta: dict[str, int], level: Literal[1, 2] = 1) -> None:
    """Search people."""


def test_tools_are_accepted(served: ScriptedModel, store: object) -> None:
    """Exported tools and the tool configuration pass the library, and the API."""
    model = genai.GenerativeModel(MODEL)
    tools = gemini.export([Tool.from_function(search)])
    for mode, allowed in (("AUTO", None), ("ANY", ["search"]), ("NONE", None)):
        config = gemini.tool_config(mode, allowed)
        model.generate_content("x", tools=tools, tool_config=config)
    declared = served.requests[0]["tools"][0]["functionDeclarations"][0]
    assert declared["parameters"]["properties"]["filters"]["required"] == ["role"]


# The documented page --------------------------------------------------------------

TREE = """\
eval trivia:initials reward=1.0 outcome=scored
├─ setup
├─ invoke_agent agent
│  ├─ turn 1
│  │  ├─ chat gemini-2.0-flash
│  │  └─ execute_tool lookup_ceo
│  └─ turn 2
│     └─ chat gemini-2.0-flash
└─ reward score=1.0"""


def page() -> ModuleType:
    """Return what finds the code on the page and runs it."""
    file = Path(__file__).parents[1] / "page" / "page_code.py"
    spec = importlib.util.spec_from_file_location("page_code", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page(store: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's Gemini section runs; only its `configure` points elsewhere."""
    tests = page()
    if not tests.PAGE.exists():
        pytest.skip(f"the page is not at {tests.PAGE}")
    monkeypatch.setenv("GOOGLE_API_KEY", "page-key-123")
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(tests.snippet("The Example Environment"), "page", "exec"), names)
    code = tests.snippet("Gemini")
    assert code.count("genai.configure(") == 1
    code = code.replace('genai.configure(api_key=os.environ["GOOGLE_API_KEY"])', "")
    script = [call(("lookup_ceo", {"company": "HUD"})), say("The initials are JR.")]
    with ScriptedModel(script) as served, captured_spans() as spans:
        configure(served)
        done = tests.run(code, names, names["task"])
    assert done["ctx"].result.reward == 1.0
    assert span_tree(spans) == TREE
