"""What a page is going to need, told to the browser with its first bytes.

Modules import modules, and only the last of them ask for data: one round trip after
the other. With hints in the page, all of it is on its way at once.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path, PurePosixPath

#: The module of each kind of page, by the first part of its address; as in `app.mjs`.
_MODULES = {
    "": "pages/episodes.mjs",
    "jobs": "pages/jobs.mjs",
    "job": "pages/job.mjs",
    "traces": "pages/traces.mjs",
    "trace": "trace/page.mjs",
    "diff": "diff.mjs",
    "search": "pages/search.mjs",
    "setup": "pages/setup.mjs",
    "t": "pages/choose.mjs",
}
_STYLES = {"trace": ("trace",), "diff": ("trace", "diff")}
_TIMELINES = ("timeline", "split")
_WITHOUT_CHAT = ("timeline", "raw")
_IMPORT = re.compile(r"""^(?:import|export)\b[^"';]*["'](\.[^"']+)["']""", re.M)
_TRACE = re.compile(r"/trace/([0-9a-f]{32})")


def hints(folder: Path, version: str, path: str, view: str) -> str:
    """Return the links for the page at *path*, in HTML; *view* as in its address."""
    kind = path.strip("/").partition("/")[0]
    entries = ["js/app.mjs"]
    if kind in _MODULES:
        entries.append(f"js/{_MODULES[kind]}")
    if kind == "trace" and view in _TIMELINES:
        entries.append("js/trace/timeline.mjs")
    if kind == "trace" and view not in _WITHOUT_CHAT:
        entries.append("js/trace/chat.mjs")
    static = f"/static/{version}"
    links = _data(path)  # first: it takes longest, and a browser asks for six at once
    links += [
        f'<link rel="modulepreload" href="{static}/{name}">'
        for name in modules(folder, version, tuple(entries))
    ]
    links += [
        f'<link rel="preload" as="style" href="{static}/css/{name}.css">'
        for name in _STYLES.get(kind, ())
    ]
    return "".join(links)


def _data(path: str) -> list[str]:
    trace = _TRACE.fullmatch(path)
    if not trace:
        return []
    api = f"/api/hud/v1/trace/{trace[1]}"
    return [
        f'<link rel="preload" as="fetch" crossorigin href="{api}{rest}">'
        for rest in ("/spans?packed=1", "")
    ]


@functools.lru_cache(maxsize=64)
def modules(folder: Path, _version: str, entries: tuple[str, ...]) -> tuple[str, ...]:
    """Return *entries* and the modules that they import, each once, by their names."""
    found: dict[str, None] = {}
    waiting = list(entries)
    while waiting:
        name = waiting.pop(0)
        path = folder / name
        if name in found or not path.is_file():
            continue
        found[name] = None
        for target in _IMPORT.findall(path.read_text("utf-8")):
            waiting.append(_joined(name, target))
    return tuple(found)


def _joined(name: str, target: str) -> str:
    """Return what *target* is to the module *name*, relative to the folder."""
    parts = list(PurePosixPath(name).parent.parts)
    for part in PurePosixPath(target).parts:
        if part == "..":
            del parts[-1:]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
