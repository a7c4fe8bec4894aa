#!/usr/bin/env bash
# usage: tools/typecheck.sh [MYPY]
# mypy --strict over the packages as they are imported, and over benchmarks/ and tools/. mypy does
# not know setuptools' package-dir, so a farm of links shows it kernels/, export/ and runtime/
# inside wsgn/, and the helpers of tests/ that benchmarks import.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
mypy=$(realpath -s "${1:-$root/.venv/bin/mypy}")

farm=$(mktemp -d)
trap 'rm -rf "$farm"' EXIT
mkdir "$farm/wsgn"
ln -s "$root"/wsgn/* "$root"/{kernels,export,runtime} "$farm/wsgn/"
ln -s "$root"/{benchmarks,tools} "$farm/"
ln -s "$root"/tests/{coded_clips,contents,made_streams,places,planted,planted_faults,ray_nodes,toy}.py "$farm/"
ln -s "$root"/tests/{metrics/plain_evaluator,features/layouts_on_disk}.py "$farm/"
ln -s "$root"/tests/live/{cameras,clips,fault_rows,reading,rtsp_server,servers,stream_servers}.py "$farm/"
ln -s "$root"/tests/weights/{bundle_writer,published_states}.py "$farm/"
cd "$farm"
"$mypy" --config-file "$root/pyproject.toml" --cache-dir "$root/.mypy_cache" \
  -p wsgn -p benchmarks -p tools
