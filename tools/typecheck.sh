#!/usr/bin/env bash
# usage: tools/typecheck.sh [MYPY]
# mypy --strict over the packages as they are imported. mypy does not know setuptools' package-dir,
# so a farm of links shows it kernels/, export/ and runtime/ inside wsgn/.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
mypy=$(realpath -s "${1:-$root/.venv/bin/mypy}")

farm=$(mktemp -d)
trap 'rm -rf "$farm"' EXIT
mkdir "$farm/wsgn"
ln -s "$root"/wsgn/* "$root"/{kernels,export,runtime} "$farm/wsgn/"
cd "$farm"
"$mypy" --config-file "$root/pyproject.toml" --cache-dir "$root/.mypy_cache" -p wsgn
