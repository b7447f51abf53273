"""The pytest plugin: a store of the session's own, and spans as a fixture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hudtrace.testing.spans import CapturedSpan


@pytest.fixture(scope="session")
def hud_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A trace store that lives as long as the test session; its path."""
    from hudtrace.runtime import configure

    path = tmp_path_factory.mktemp("hudtrace") / "traces.db"
    configure(store=path, quiet=True)
    return str(path)


@pytest.fixture
def hud_spans(hud_store: str) -> Iterator[list[CapturedSpan]]:
    """The spans that end during the test, kept out of the user's own store."""
    from hudtrace.testing.spans import captured_spans

    with captured_spans() as spans:
        yield spans
