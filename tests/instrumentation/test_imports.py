"""Clients are traced from their import on, and are not imported for that."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def python(code: str) -> str:
    """Run *code* in a fresh interpreter without a store; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"HUDTRACE_STORE": "off", "HOME": "/nowhere", "PATH": ""},
    )
    return done.stdout


def test_an_eval_imports_no_client() -> None:
    """An eval that calls no model loads none of the installed clients."""
    printed = python(
        """
        import asyncio, sys
        import hudtrace as hud

        env = hud.Environment("e")

        @env.scenario("s")
        async def s():
            yield "p"
            yield 1.0

        async def main():
            async with hud.eval(s()) as ctx:
                await ctx.submit("x")

        asyncio.run(main())
        heavy = ("openai", "anthropic", "google.genai", "genai_prices")
        print([name for name in heavy if name in sys.modules])
        """
    )
    assert printed == "[]\n"


def test_a_client_imported_later_is_traced() -> None:
    """The order of `instrument` and the import does not matter; undo works in both."""
    printed = python(
        """
        import sys
        import hudtrace as hud

        hud.configure(quiet=True)
        assert "openai" in hud.instrument()
        import openai
        from openai import _base_client as base

        module = base.SyncAPIClient.request.__globals__["__name__"]
        print(module, openai.__spec__.loader.exec_module.__name__)
        hud.uninstrument()
        print(base.SyncAPIClient.request.__globals__["__name__"])
        hud.instrument(["openai"])
        print(base.SyncAPIClient.request.__globals__["__name__"])
        """
    )
    first, second, third = printed.splitlines()
    assert first == "hudtrace.instrumentation.stainless exec_module"
    assert second == "openai._base_client"
    assert third == "hudtrace.instrumentation.stainless"


def test_calling_off_before_the_import() -> None:
    """A client imported after `uninstrument` is left alone, and imports are as ever."""
    printed = python(
        """
        import sys
        import hudtrace as hud

        def watching():
            return any("hudtrace" in type(each).__module__ for each in sys.meta_path)

        hud.configure(quiet=True)
        before = watching()
        hud.uninstrument()
        print(before, watching())
        from openai import _base_client as base

        print(base.SyncAPIClient.request.__globals__["__name__"])
        """
    )
    assert printed == "True False\nopenai._base_client\n"
