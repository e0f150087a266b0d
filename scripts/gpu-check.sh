#!/usr/bin/env bash
# Everything that only a GPU can show, in one command: all GPU tests, compute-sanitizer over the small
# ones, then the benchmarks. Leaves logs and JSON in the output folder, and a table at the end.
#
#   scripts/gpu-check.sh [--bundle FOLDER] [--out FOLDER] [--only tests,sanitizer,bench,model] [--quick]
#
# Without --bundle it builds here (scripts/setup.sh --gpu). With one (scripts/gpu-bundle.sh) nothing is
# built: LibTorch is that of `python3`. --quick skips the largest sizes. A step that fails does not stop
# the others; the exit code says whether one did.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

bundle='' out=out/gpu-check only=tests,sanitizer,bench,model quick=no
while (( $# > 0 )); do
  case "$1" in
    --bundle) bundle=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --only) only=$2; shift 2 ;;
    --quick) quick=yes; shift ;;
    *) echo "gpu-check.sh: unknown argument '$1'" >&2; exit 2 ;;
  esac
done
mkdir -p "$out"
failed=()
# Tests that are small enough for the sanitizers, and together reach every kernel.
readonly kSmall='*Small*:*AnyNumberOf*:*NotFull*:*EmptyLists*:*RangesOfEvery*:*KeysInNo*:*CopiesTake*:Orders.*:SampledMasses.Text*:*ByMma:SelectVsa.Ties*:SelectBsa.Ties:SelectVmoba.Published*:SelectRestore.*'

wants() { [[ ",$only," == *",$1,"* ]]; }

# step NAME SECONDS COMMAND...: into NAME.log; says how it went.
step() {
  local name=$1 limit=$2 start=$SECONDS
  shift 2
  timeout -s KILL "$limit" "$@" >"$out/$name.log" 2>&1
  local code=$?
  printf '%-28s %s, %d s\n' "$name" "$( ((code == 0)) && echo passed || echo "FAILED ($code)")" $((SECONDS - start))
  ((code == 0)) || { failed+=("$name"); tail -n 5 "$out/$name.log" | sed 's/^/    /'; }
}

python=python3
if [[ -n "$bundle" ]]; then
  programs=$bundle/bin
  torch_lib=$($python -c 'import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))')
  nvidia_libs=$($python -c 'import glob, os, torch; root = os.path.dirname(os.path.dirname(torch.__file__)); print(":".join(sorted(glob.glob(root + "/nvidia/*/lib"))))')
  export LD_LIBRARY_PATH="$bundle/lib:$torch_lib:$nvidia_libs:${LD_LIBRARY_PATH:-}"
  commit=$(cat "$bundle/commit")
  root=$(cat "$bundle/root")
  [[ -e "$root" ]] || { mkdir -p "$(dirname "$root")" && ln -s "$PWD" "$root"; }
else
  scripts/setup.sh --gpu || exit 1
  programs=build/release/bin
  [[ -x .venv/bin/python ]] && python=.venv/bin/python
  commit=$(git rev-parse --short HEAD)
fi
program=$programs/sparsescope

{
  echo "commit $commit, $(date -u +%FT%TZ)"
  nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.limit,memory.total --format=csv
} 2>&1 | tee "$out/device.txt"

if wants tests; then
  for test in "$programs"/*_on_gpu; do step "$(basename "$test")" 300 "$test" --gtest_brief=1; done
fi

if wants sanitizer; then
  for tool in memcheck racecheck; do
    for test in "$programs"/*_on_gpu; do
      step "$tool-$(basename "$test")" 300 compute-sanitizer --tool "$tool" --error-exitcode 9 \
        "$test" --gtest_brief=1 --gtest_filter="$kSmall"
    done
  done
fi

# attention NAME SHAPE GRID ARGUMENTS...
attention() {
  local name=$1 shape=$2 grid=$3
  shift 3
  step "bench-$name" 240 "$program" bench attention --device cuda --dtype bf16 --shape "$shape" --grid "$grid" \
    --repeats 5 --force --out "$out/$name.json" "$@"
}

if wants bench; then
  attention s32760-h12-d128 1,12,32760,128 21,30,52 --densities 0.125,0.25 --backward
  attention s49152-h12-d128 1,12,49152,128 32,32,48 --methods torch,torch-flash,random,vsa --densities 0.125 --backward
  attention s49152-h12-d128-deterministic 1,12,49152,128 32,32,48 --methods torch,random --densities 0.125 \
    --backward --deterministic
  step peers-s49152 240 "$python" scripts/gpu_peers.py --tokens 49152 --heads 12 --head-dim 128 --density 0.125 \
    --out "$out/peers-s49152.json"
  attention s56160-h12-d128 1,12,56160,128 36,30,52 --methods torch,vmoba --densities 0.19
  if [[ $quick == no ]]; then
    attention s75600-h40-d128 1,40,75600,128 21,45,80 --methods torch,masses,profile,vsa,bsa,vmoba --densities 0.125
    attention s153600-h12-d128 1,12,153600,128 40,48,80 --methods torch,bsa --densities 0.05 --backward
  fi
fi

if wants model; then
  step random-wan 120 "$python" scripts/random_wan.py --size 1.3B --out "$out/random-wan"
  step bench-profile 400 "$program" bench profile "$out/random-wan" --device cuda --text-embeds \
    "$out/random-wan/embeds.safetensors" --video 81,480,832 --steps 2 --guidance 1 --repeats 2 --force \
    --out "$out/profile-480p.json"
  rm -rf "$out/random-wan"
fi

"$python" python/gpu_table.py "$out" 2>&1 | tee "$out/table.md"
if ((${#failed[@]} > 0)); then
  echo "failed: ${failed[*]}"
  exit 1
fi
