#!/usr/bin/env bash
# Makes the packaged demo anew, from nothing: videos, training from video-level labels only, the
# engine, and the sample video with its truth. About a quarter of an hour on two cores.
#   make test            (once, for the environment)
#   tools/make_demo.sh   [FOLDER for the videos and the training, default runs/demo]
# Variables:
#   PYTHON   the interpreter (default: .venv/bin/python)
#   DEMO     folder for demo.onnx, demo.mp4 and demo.json (default: runtime/demo)
#   TINY=1   few small videos and three updates, to try this script; DEMO must be another folder
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:-runs/demo}
python=${PYTHON:-.venv/bin/python}
demo=${DEMO:-runtime/demo}
videos=(--train 160 --test 40 --workers 2)
sample=(--duration 30 --width 320 --height 240 --actions wave,squat,kick,bow,jump)
training=()
if [ -n "${TINY:-}" ]; then
  [ ! "$demo" -ef runtime/demo ] || {
    echo "make_demo.sh: TINY makes an engine of no use: name another folder with DEMO=." >&2
    exit 2
  }
  videos=(--train 2 --test 1 --width 80 --height 64 --frame-rate 10)
  sample=(--duration 16 --width 80 --height 64 --frame-rate 10 --actions wave)
  training=(--steps 3 --batch-videos 2)
fi

mkdir -p "$demo"
[ -f "$work/synthetic/annotations.json" ] ||
  "$python" -m wsgn.synthetic.cli videos "$work/synthetic" --seed 0 "${videos[@]}"
"$python" -m wsgn.training.cli "$work/synthetic/annotations.json" \
  --videos "$work/synthetic/videos" --preset videos --test test --seed 0 -o "$work/run" --overwrite "${training[@]}"
"$python" export/to_onnx.py "$work/run/model.safetensors" -o "$demo/demo.onnx" --overwrite
"$python" -m wsgn.synthetic.cli videos --sample "$demo/demo.mp4" --seed 12 --overwrite "${sample[@]}"
run=(--demo)
[ "$demo" -ef runtime/demo ] || run=("$demo/demo.mp4" --engine "$demo/demo.onnx")
"$python" -c 'import sys; from wsgn.runtime.cli.main import main; sys.exit(main())' "${run[@]}"
