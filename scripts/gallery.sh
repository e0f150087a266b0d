#!/usr/bin/env bash
# Draws docs/figures.md anew: every kind of file from data/tiny-wan with the program, then every figure.
# About 35 minutes on 2 cores with nothing else running; what out/gallery holds already is not made again.
# Build first (scripts/setup.sh), and run scripts/bench.sh for the figures of kernel times.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly kProgram=$PWD/build/release/bin/sparsescope kModel=data/tiny-wan kOut=out/gallery
export SPARSESCOPE_PROGRAM=$kProgram

mkdir -p "$kOut"
if [[ ! -f $kOut/made ]]; then
  tests/python/make_data.sh "$kProgram" "$kModel" "$kOut" 4 8
  # Timings and the sweep of the tests are small: these are those of docs/benchmarks.md and docs/results.md.
  rm "$kOut"/bench-*.json
  for name in a-fp32 a-bf16 b-fp32 b-bf16 c-fp32 ragged-fp32; do cp "out/bench/$name.json" "$kOut/bench-$name.json"; done
  "$kProgram" bench costs --profile "$kOut/run.h5" --threads 2 --repeats 9 --force --out "$kOut/costs.json"
  grep -v '^#' "$kModel/prompts/heldout.txt" | head -4 >"$kOut/heldout4.txt"
  "$kProgram" tune "$kModel" --prompts "$kModel/prompts/calibration.txt" --heldout "$kOut/heldout4.txt" \
    --grid 8,16,16 --steps 8 --guidance 3 --sweep --derive-prompts 6 --check-prompts 2 \
    --densities 0.25,0.375,0.5 --force --out "$kOut/sweep.json"
  touch "$kOut/made"
fi
.venv/bin/python python/gallery.py "$kOut" docs notebooks_export/README.md
