#!/usr/bin/env bash
# Our speed on a GPU, in one run of at most eight minutes: bash benchmarks/gpu.sh [FOLDER]
# What is printed is kept in FOLDER too.  Each piece has its own limit, and one that fails does not keep the others off.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
python=${PYTHON:-python3}
folder=${1:-${OUT:-results/gpu}}
mkdir -p "$folder"
export PYTHONPATH=$PWD OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1

failed=0
# NAME SECONDS COMMAND...
piece() {
  local name=$1 limit=$2
  shift 2
  timeout "$limit" "$@" 2>&1 | tee "$folder/$name.txt" || { echo "$name: failed, or not done in $limit s"; failed=1; }
}

# 20,000 pairs, 30 runs of 625 steps a round, four rounds: about a minute
piece heads 120 "$python" benchmarks/gpu.py heads --pairs 20000 --rounds 3
# the encoder, generation and likelihoods: a line each, 360 s in all

exit "$failed"
