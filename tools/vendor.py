"""Fetch the viewer's JavaScript libraries and write them where they are served.

    tools/vendor.py           # needs npm, which fetches from the registry it is set to

Each file comes out of a package pinned by its SHA-512. Bare imports become relative
ones, so that pages need neither a build nor an import map, and source maps are left
out. `manifest.json` beside the files says what they are and holds their SHA-256,
which `tests/browser/test_vendor.py` checks.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
SERVED = ROOT / "hudtrace" / "viewer" / "static" / "vendor"
TESTED = ROOT / "tests" / "browser" / "vendor"


@dataclass(frozen=True)
class Library:
    """A package, the files of it that are wanted, and where they go."""

    name: str
    version: str
    license: str
    integrity: str
    files: dict[str, str]
    folder: Path = SERVED


LIBRARIES = [
    Library(
        "preact",
        "11.2.0",
        "MIT",
        "/HfHI/7N84e6GrWBJ3J280z3mLaRJiDcSvj/A+y/4AbLnND/1UlGHe1sR6oYuTGwId0nP7dqDU9OnLxMPZ7xBg==",
        {"dist/preact.mjs": "preact.mjs", "hooks/dist/hooks.mjs": "hooks.mjs"},
    ),
    Library(
        "htm",
        "3.1.1",
        "Apache-2.0",
        "983Vyg8NwUE7JkZ6NmOqpCZ+sh1bKv2iYTlUkzlWmA5JD2acKoxd4KVxbMmxX/85mtfdnDmTFoNKcg5DGAvxNQ==",
        {"dist/htm.mjs": "htm.mjs"},
    ),
    Library(
        "marked",
        "18.2.1",
        "MIT",
        "ii4bxCTCqqwpT86XZWgJNs+ZnAIZksmLGYMViWA7PDIXYIeNo1x6cDdX3JOip9NM/cI6p8z57FxliACboTruMA==",
        {"lib/marked.esm.js": "marked.mjs"},
    ),
    Library(
        "dompurify",
        "3.4.18",
        "MPL-2.0 OR Apache-2.0",
        "ofe3wI/uNm68HInABYFJYqQxRw1EaKAjNdrFVKqjUY+UZurvNd2L/HuQe097s/4RivWiZyP6tT7aoT8atjfhwg==",
        {"dist/purify.es.mjs": "dompurify.mjs"},
    ),
    Library(
        "axe-core",
        "4.14.1",
        "MPL-2.0",
        "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        {"axe.min.js": "axe.min.js"},
        TESTED,
    ),
]
#: Where a bare import is found, by the file names given above.
IMPORTS = {"preact": "./preact.mjs", "preact/hooks": "./hooks.mjs"}


def fetch(library: Library, folder: Path) -> Path:
    """Return the unpacked package, whose contents are as they are pinned."""
    wanted = f"{library.name}@{library.version}"
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), wanted]
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    archive = folder / said.stdout.split()[-1]
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != library.integrity:
        raise SystemExit(f"{wanted} is not what is pinned: its SHA-512 is {digest}")
    unpacked = folder / library.name
    with tarfile.open(archive) as file:
        file.extractall(unpacked, filter="data")
    return unpacked / "package"


def adapt(source: str) -> str:
    """Return a module with relative imports and without a source map."""
    source = re.sub(r"\n?//# sourceMappingURL=\S+\s*$", "\n", source)
    return re.sub(
        r"""(\b(?:from|import)\s*)(["'])([a-z@][^"']*)\2""",
        lambda found: f'{found[1]}"{IMPORTS[found[3]]}"',
        source,
    )


def write(library: Library, package: Path) -> dict[str, object]:
    """Write a library's files and its licence; return its entry in the manifest."""
    library.folder.mkdir(parents=True, exist_ok=True)
    names = {f"LICENSE-{library.name}.txt": (package / "LICENSE").read_text("utf-8")}
    for source, name in library.files.items():
        text = (package / source).read_text("utf-8")
        names[name] = adapt(text) if name.endswith(".mjs") else text
    hashes = {}
    for name, text in names.items():
        content = text.encode()
        (library.folder / name).write_bytes(content)
        hashes[name] = hashlib.sha256(content).hexdigest()
    return {
        "package": f"{library.name}@{library.version}",
        "license": library.license,
        "sha256": hashes,
    }


def main() -> None:
    """Write every library, and a manifest into each folder."""
    manifests: dict[Path, list[dict[str, object]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for library in LIBRARIES:
            entry = write(library, fetch(library, Path(folder)))
            manifests.setdefault(library.folder, []).append(entry)
    for folder_, entries in manifests.items():
        text = json.dumps(entries, indent=2) + "\n"
        (folder_ / "manifest.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
