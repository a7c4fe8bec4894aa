#!/usr/bin/env bash
# usage: benchmarks/gpu.sh [-o DIR] [--with FOLDER] [--dry-run]
#        benchmarks/gpu.sh --prepare FOLDER [options of benchmarks.gpu.prepare]
# Everything that needs a GPU, in 9 minutes: kernels checked, then measured, then training and
# engines. The interpreter needs torch, triton and numpy; nothing is downloaded. Without a GPU it
# ends in one sentence.
#   -o DIR        folder for the results, three files (default: OUT)
#   --with FOLDER what --prepare has made: wheels, compiled kernels, a plan
#   --dry-run     list the parts with their minutes and commands, say which would be skipped for
#                 modules that are not installed, and end; needs no GPU
#   --prepare FOLDER  make everything that can be made without a GPU, by an interpreter of the same
#                 versions as the GPU's; this downloads wheels
# Variables:
#   PYTHON        the interpreter (default: python3)
#   WSGN_WHEELS   a folder of wheels that this interpreter lacks, such as dacite's; used in place of
#                 an installation
#   OUT           folder for the results (default: benchmarks/results/gpu-<date> of this checkout)
# Paths are relative to where it is called. Exit code 0 when every part that could run went well,
# 1 when one failed or nothing could run, 2 on a wrong option.
set -euo pipefail
end() {
  echo "gpu.sh: $1" >&2
  exit 1
}
for word in "$@"; do
  if [ "$word" = -h ] || [ "$word" = --help ]; then
    sed -n '2,/^set /{/^# /s/^# //p;}' "$0"
    exit 0
  fi
done
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
command -v "$python" > /dev/null ||
  end "the interpreter '$python' cannot be run: name one with PYTHON=."
path=$root
prepares=
before=
for word in "$@"; do
  [ "$word" != --prepare ] || prepares=yes
  # Wheels that were prepared, unless others are named.
  if [ "$before" = --with ] && [ -z "${WSGN_WHEELS:-}" ] && [ -d "$word/wheels" ]; then
    WSGN_WHEELS=$word/wheels
  fi
  before=$word
done
if [ -n "$prepares" ]; then
  [ "$1" = --prepare ] && [ "$#" -ge 2 ] || end "--prepare comes first, and a folder behind it."
  shift
  export PYTHONPATH=$path${PYTHONPATH:+:$PYTHONPATH}
  exec "$python" -m benchmarks.gpu.prepare "$@"
fi
if [ -n "${WSGN_WHEELS:-}" ]; then
  shopt -s nullglob
  wheels=("$WSGN_WHEELS"/*.whl)
  [ "${#wheels[@]}" -gt 0 ] || end "no wheel (*.whl) lies in WSGN_WHEELS='$WSGN_WHEELS': name the \
folder that holds them, or leave it out."
  site=$(mktemp -d)
  trap 'rm -rf "$site"' EXIT
  env -u PIP_CONSTRAINT "$python" -m pip install --quiet --no-index --no-deps --no-compile \
    --target "$site" "${wheels[@]}" || end "pip could not unpack the wheels of '$WSGN_WHEELS'; what it said is above."
  path=$site:$path
fi
export PYTHONPATH=$path${PYTHONPATH:+:$PYTHONPATH}
# Kernels that are interpreted never reach the GPU.
unset TRITON_INTERPRET
"$python" -m benchmarks.gpu.report \
  -o "${OUT:-$root/benchmarks/results/gpu-$(date +%F)}" "$@"
