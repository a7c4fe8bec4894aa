#!/bin/bash
# A folder of videos, in 64 shards: docs/deploy.md.
#   sbatch batch.sh VIDEOS ENGINE RESULTS [more options of wsgn-run]
#SBATCH --job-name=wsgn
#SBATCH --array=1-64
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --output=wsgn-%A_%a.log
set -euo pipefail
[ $# -ge 3 ] || {
  echo "usage: sbatch batch.sh VIDEOS ENGINE RESULTS [options of wsgn-run]" >&2
  exit 2
}
# In place of the shell, so that signals reach it. A core for each worker; words go to the log, and
# events to the files.
exec wsgn-run "$1" --engine "$2" --output "$3" --format json,csv --shard auto --resume \
  --workers "${SLURM_CPUS_PER_TASK:-1}" --threads 1 "${@:4}" > /dev/null
