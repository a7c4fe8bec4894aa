#!/usr/bin/env bash
# usage: benchmarks/gpu.sh [--dry-run]
# Everything that needs a GPU, in under 8 minutes: kernels checked, then measured. The interpreter
# needs torch, triton and numpy; nothing is downloaded.
#   PYTHON        the interpreter (default: python3)
#   WSGN_WHEELS   a folder of wheels that this interpreter lacks, such as dacite's; used in place of
#                 an installation
#   OUT           folder for the results (default: benchmarks/results/gpu-<date>)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
path=$root
if [ -n "${WSGN_WHEELS:-}" ]; then
  site=$(mktemp -d)
  trap 'rm -rf "$site"' EXIT
  "$python" -m pip install --quiet --no-index --no-deps --no-compile --target "$site" \
    "$WSGN_WHEELS"/*.whl
  path=$site:$path
fi
export PYTHONPATH=$path${PYTHONPATH:+:$PYTHONPATH}
# Kernels that are interpreted never reach the GPU.
unset TRITON_INTERPRET
cd "$root"
"$python" benchmarks/gpu_report.py -o "${OUT:-benchmarks/results/gpu-$(date +%F)}" "$@"
