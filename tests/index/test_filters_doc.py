"""docs/filters.md tells of the language that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hudtrace.index import filters
from hudtrace.index.fields import FIELDS

TEXT = (Path(__file__).parents[2] / "docs" / "filters.md").read_text("utf-8")
LANGUAGE, TABLE = TEXT.split("## Fields")
EXAMPLES = re.findall(r"^\| `(\S.*?)` \|", LANGUAGE, re.M)
EXAMPLES += re.findall(r"--filter '(.+)'$", LANGUAGE, re.M)
ROW = re.compile(r"^\| `(\w+)` \| (.+) \| (`.+`) \|$", re.M)


def test_every_field_is_told_of() -> None:
    """Each field is there with what it is and its operators, in the order of the code."""
    told = [(name, means, ops.split(" ")) for name, means, ops in ROW.findall(TABLE)]
    assert told == [
        (field.name, field.means, [f"`{op}`" for op in field.operators])
        for field in FIELDS.values()
    ]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_can_be_read(example: str) -> None:
    """What is shown is a filter without mistakes."""
    read = filters.parse(example)
    assert read.terms
    assert not read.errors
