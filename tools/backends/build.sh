#!/bin/sh
# Builds Jaeger and an OpenTelemetry Collector from Go modules, at pinned versions,
# into the user's cache; does nothing where they are there. Prints the folder.
# Without Go it says so and ends well: the tests that need them are skipped.
set -eu
JAEGER=v1.76.0   # the module of Jaeger 2.13.0
COLLECTOR=v0.155.0
here=$(cd "$(dirname "$0")" && pwd)
cache=${HUDTRACE_BACKENDS:-${XDG_CACHE_HOME:-$HOME/.cache}/hudtrace/backends}
stamp="$JAEGER $COLLECTOR $(cksum <"$here/otelcol.yaml" | cut -d' ' -f1)"
if [ -x "$cache/jaeger" ] && [ -x "$cache/otelcol" ] && [ "$(cat "$cache/stamp" 2>/dev/null)" = "$stamp" ]; then
    echo "$cache"
    exit 0
fi
if ! command -v go >/dev/null 2>&1; then
    echo "Go is not installed: tests against real backends will be skipped" >&2
    exit 0
fi
mkdir -p "$cache"
work=$(mktemp -d "$cache/build.XXXXXX")
export GOFLAGS="-mod=mod -buildvcs=false -trimpath -modcacherw" CGO_ENABLED=0 GOTOOLCHAIN=local
export GOMODCACHE="$work/mod" GOCACHE="$work/cache"
trap 'rm -rf "$work"' EXIT INT TERM

quietly() {
    "$@" >"$work/log" 2>&1 || { tail -20 "$work/log" >&2; echo "failed: $*" >&2; exit 1; }
}

echo "building Jaeger and a collector into $cache (some minutes, once) …" >&2

# Jaeger: a module of our own, with Jaeger's replace directive and its sums.
module=github.com/jaegertracing/jaeger
mkdir "$work/jaeger"
cd "$work/jaeger"
printf 'module local/jaeger\n\ngo 1.25.0\n\nrequire %s %s\nreplace github.com/Shopify/sarama => github.com/Shopify/sarama v1.33.0\n' \
    "$module" "$JAEGER" >go.mod
source=$(cd "$work" && go mod download -json "$module@$JAEGER" | sed -n 's/^.*"Dir": "\(.*\)",*$/\1/p')
cp "$source/go.sum" go.sum
chmod u+w go.sum
quietly go get "$module/cmd/jaeger@$JAEGER"
quietly go build -o "$work/jaeger.bin" -ldflags "-s -w" "$module/cmd/jaeger"

# The collector: the official builder generates the sources, Go resolves the rest.
mkdir "$work/otelcol"
cd "$work/otelcol"
GOBIN="$work" quietly go install "go.opentelemetry.io/collector/cmd/builder@$COLLECTOR"
cp "$here/otelcol.yaml" manifest.yaml
GOFLAGS="-buildvcs=false -trimpath -modcacherw" quietly "$work/builder" --config manifest.yaml --skip-get-modules --skip-compilation
cd _build
if [ ! -f go.mod ]; then
    {
        printf 'module go.opentelemetry.io/collector/cmd/builder\n\ngo 1.25.0\n\nrequire (\n'
        sed -n 's/^ *- gomod: */\t/p' ../manifest.yaml
        printf '\tgo.opentelemetry.io/collector/otelcol %s\n)\n' "$COLLECTOR"
    } >go.mod
fi
cp "$here/otelcol.go.sum" go.sum
quietly go build -ldflags "-s -w" -o "$work/otelcol.bin" .

mv "$work/jaeger.bin" "$cache/jaeger"
mv "$work/otelcol.bin" "$cache/otelcol"
echo "$stamp" >"$cache/stamp"
echo "$cache"
