#!/bin/sh
# Makes the environment in which google.generativeai is tested: it needs an older
# protobuf than others do. It is kept outside the clone, and made again only when
# what is installed in it has changed.
#
#   tools/gemini_legacy.sh PYTHON
set -eu
cd "$(dirname "$0")/.."
venv="${XDG_CACHE_HOME:-$HOME/.cache}/hudtrace/gemini-legacy"
python="$1"
key="$PWD $("$python" -V) $(cat pyproject.toml constraints/gemini-legacy.txt | cksum)"
if [ "$(cat "$venv/.key" 2>/dev/null)" = "$key" ]; then
    exit 0
fi
echo "setting up $venv …" >&2
set -- -c constraints/gemini-legacy.txt -e '.[openai,anthropic]' \
    google-generativeai pytest pytest-asyncio pytest-timeout
if command -v uv >/dev/null 2>&1; then
    uv venv -q --allow-existing --python "$python" "$venv"
    VIRTUAL_ENV="$venv" uv pip install -q "$@"
else
    "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check "$@"
fi
echo "$key" >"$venv/.key"
