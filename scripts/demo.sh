#!/usr/bin/env bash
# Set-up, then the main job on data/tiny-wan: profile real denoising trajectories, derive one plan a
# method for one recall, run each plan with real sparse attention on prompts that the profile has not
# seen, print the comparison, and draw figures, a notebook and a page to explore. Results: out/demo/. About
# 6 minutes on 2 cores after the build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly kProgram=build/release/bin/sparsescope
readonly kModel=data/tiny-wan
readonly kOut=out/demo
readonly kTarget=recall=0.8
readonly kMethods="vsa bsa vmoba"

say() { printf '\n== %s\n' "$*"; }

# prompts COUNT FILE: the first COUNT prompts
prompts() { grep -v '^#' "$2" | head -n "$1"; }

# compare NAME GRID STEPS GUIDANCE CALIBRATION HELDOUT [PROFILE OPTIONS]: profile, then derive and validate
# each method
compare() {
  local name=$1 grid=$2 steps=$3 guidance=$4 calibration=$5 heldout=$6 method
  shift 6
  prompts "$calibration" "$kModel/prompts/calibration.txt" >"$kOut/$name-calibration.txt"
  prompts "$heldout" "$kModel/prompts/heldout.txt" >"$kOut/$name-heldout.txt"

  say "$grid tokens: profile of $calibration prompt(s), $steps steps, guidance $guidance"
  "$kProgram" profile "$kModel" --prompts "$kOut/$name-calibration.txt" --grid "$grid" --steps "$steps" \
    --guidance "$guidance" --force --out "$kOut/$name.h5" "$@"
  for method in $kMethods; do
    say "$grid tokens: $method at $kTarget, judged on $heldout held-out prompt(s)"
    "$kProgram" derive "$kOut/$name.h5" --method "$method" --target "$kTarget" --force \
      --out "$kOut/$name-$method.json"
    "$kProgram" validate "$kModel" --plan "$kOut/$name-$method.json" --prompts "$kOut/$name-heldout.txt" \
      --steps "$steps" --guidance "$guidance" --videos "$kOut/$name-$method-videos.h5" --force \
      --out "$kOut/$name-$method-report.json"
  done
}

scripts/setup.sh --program
mkdir -p "$kOut"
compare small 8,16,16 8 3.0 4 4 --maps "step=* layer=* head=*" --keep-qkv "step=4 layer=2,3 head=*" --keep-videos
compare large 8,32,32 2 1.0 1 1

say "comparison"
python3 scripts/demo_table.py "$kOut" | tee "$kOut/table.md"

files=()
for method in $kMethods; do
  files+=(--plan "$kOut/small-$method.json" --validation "$kOut/small-$method-report.json")
done
files+=(--videos "$kOut/small-vsa-videos.h5" --force)
say "figures, a notebook and a report"
"$kProgram" render "$kOut/small.h5" "${files[@]}" --out "$kOut/figures"
"$kProgram" notebook "$kOut/small.h5" "${files[@]}" --out "$kOut/small.ipynb"
"$kProgram" report "$kOut/small.h5" "${files[@]}" --out "$kOut/small.html"

say "done"
cat <<EOF
$kOut/table.md      the comparison above
$kOut/figures/      figures as SVG, PDF and PNG, each with its numbers and its caption
$kOut/small.ipynb   the notebook that redraws them
$kOut/small.html    the report: open it in a browser
EOF
