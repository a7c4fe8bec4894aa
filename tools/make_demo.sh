#!/usr/bin/env bash
# Makes the packaged demo anew, from nothing: videos, training from video-level labels only, the
# engine, and the sample video with its truth. About a quarter of an hour on two cores.
#   make test            (once, for the environment)
#   tools/make_demo.sh   [FOLDER for the videos and the training, default runs/demo]
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:-runs/demo}
python=${PYTHON:-.venv/bin/python}

[ -f "$work/synthetic/annotations.json" ] ||
  "$python" -m wsgn.synthetic.cli videos "$work/synthetic" --train 160 --test 40 --seed 0 --workers 2
"$python" -m wsgn.training.cli "$work/synthetic/annotations.json" --videos "$work/synthetic/videos" \
  --test test --seed 0 -o "$work/run" --overwrite
"$python" export/to_onnx.py "$work/run/model.safetensors" -o runtime/demo/demo.onnx --overwrite
"$python" -m wsgn.synthetic.cli videos --sample runtime/demo/demo.mp4 --duration 30 --seed 12 \
  --width 320 --height 240 --actions wave,squat,kick,bow,jump --overwrite
"$python" -c 'import sys; from wsgn.runtime.cli.main import main; sys.exit(main(["--demo"]))'
