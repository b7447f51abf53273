"""Print the requirements of dependency groups; older pips cannot read groups."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any


def requirements(groups: dict[str, Any], name: str) -> list[str]:
    """Return the requirements of group *name*, those it includes first."""
    found: list[str] = []
    for item in groups[name]:
        if isinstance(item, dict):
            found = requirements(groups, item["include-group"]) + found
        else:
            found.append(item.replace(" ", ""))
    return found


if __name__ == "__main__":
    project = Path(__file__).parent.parent / "pyproject.toml"
    groups = tomllib.loads(project.read_text("utf-8"))["dependency-groups"]
    print(" ".join(r for name in sys.argv[1:] for r in requirements(groups, name)))
