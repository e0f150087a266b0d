#!/usr/bin/env bash
# Times attention at the sizes of docs/benchmarks.md, and the cost of a profile, into out/bench/*.json,
# then prints the table of ratios. Build first (scripts/setup.sh). About 10 minutes with one thread;
# SPARSESCOPE_BENCH_THREADS=2 takes two. Arguments go to every bench command: --processor-time on a
# machine that is busy with other work, --repeats 5 for a shorter run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly kProgram=build/release/bin/sparsescope
readonly kOut=out/bench
readonly kModel=data/tiny-wan
threads=${SPARSESCOPE_BENCH_THREADS:-1}

# attention NAME SHAPE GRID ARGUMENTS...
attention() {
  local name=$1 shape=$2 grid=$3
  shift 3
  printf '== %s\n' "$name" >&2
  "$kProgram" bench attention --shape "$shape" --grid "$grid" --threads "$threads" --force \
    --out "$kOut/$name.json" "$@" >/dev/null
}

mkdir -p "$kOut"
for dtype in fp32 bf16; do
  attention "a-$dtype" 1,3,2048,64 8,16,16 --dtype "$dtype" --backward --repeats 15 "$@"
  attention "b-$dtype" 1,4,4096,128 16,16,16 --dtype "$dtype" --backward --repeats 7 "$@"
  attention "c-$dtype" 1,1,16384,64 16,32,32 --dtype "$dtype" --backward --repeats 5 "$@"
  attention "ragged-$dtype" 1,3,1365,64 7,13,15 --dtype "$dtype" --backward --repeats 15 "$@"
done
attention a-cold 1,3,2048,64 8,16,16 --cache cold --repeats 9 "$@"
# Both sides held to AVX2.
SPARSESCOPE_ISA=avx2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 \
  attention held-to-avx2 1,3,2048,64 8,16,16 --methods torch,masses --repeats 9 "$@"
grep -v "^#" "$kModel/prompts/calibration.txt" | head -n 2 >"$kOut/prompts.txt"
printf '== profile\n' >&2
"$kProgram" bench profile "$kModel" --prompts "$kOut/prompts.txt" --grid 8,16,16 --steps 2 --guidance 1 \
  --threads "$threads" --force --out "$kOut/profile.json" --repeats 5 "$@" >/dev/null

python3 python/bench_table.py "$kOut"
