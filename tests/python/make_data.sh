#!/usr/bin/env bash
# What the Python side is tested on: every kind of file that figures are drawn from, made by the program
# from data/tiny-wan. About 2 minutes on 2 cores with 3 prompts of 4 steps.
#
#   make_data.sh PROGRAM MODEL OUT PROMPTS STEPS
set -euo pipefail
readonly kProgram=$1 kModel=$2 kOut=$3 kPrompts=$4 kSteps=$5
readonly kSampling="--steps $kSteps --guidance 3"
readonly kMiddle=$((kSteps / 2))

quiet() { "$kProgram" "$@" --progress never --log-level warn --force >/dev/null; }
prompts() { grep -v '^#' "$kModel/prompts/$2.txt" | head -n "$1"; }

mkdir -p "$kOut"
prompts "$kPrompts" calibration >"$kOut/calibration.txt"
prompts 1 calibration >"$kOut/one.txt"
prompts 2 heldout >"$kOut/heldout.txt"

# shellcheck disable=SC2086  # a list of options
{
  quiet profile "$kModel" --prompts "$kOut/calibration.txt" --grid 8,16,16 $kSampling --sensitivity 1 \
    --maps "step=* layer=* head=*" --keep-qkv "step=$kMiddle layer=2,3 head=*" --keep-videos --out "$kOut/run.h5"
  quiet profile "$kModel" --prompts "$kOut/one.txt" --grid 8,16,16 $kSampling --tile 2,4,4 --partitions none \
    --error-tiles 0 --out "$kOut/other-tile.h5"
  for method in vsa bsa vmoba; do
    quiet derive "$kOut/run.h5" --method "$method" --target density=0.375 --per head-step \
      --out "$kOut/plan-$method.json"
  done
  quiet validate "$kModel" --plan "$kOut/plan-vsa.json" --prompts "$kOut/heldout.txt" $kSampling \
    --videos "$kOut/videos.h5" --removal layers,steps --out "$kOut/report-vsa.json"
  for method in bsa vmoba; do
    quiet validate "$kModel" --plan "$kOut/plan-$method.json" --prompts "$kOut/heldout.txt" $kSampling \
      --out "$kOut/report-$method.json"
  done
}
"$kProgram" summary "$kOut/run.h5" --json >"$kOut/summary.json"
quiet tune "$kModel" --prompts "$kOut/calibration.txt" --heldout "$kOut/heldout.txt" --grid 2,8,8 --steps 2 \
  --guidance 3 --tile 2,4,4 --sweep --derive-prompts 2 --check-prompts 1 --sensitivity 1 \
  --densities 0.25,0.5 --out "$kOut/sweep.json"
quiet bench costs --profile "$kOut/run.h5" --repeats 3 --out "$kOut/costs.json"
for shape in "1,2,256,64 4,8,8 fp32" "1,2,512,64 8,8,8 fp32" "1,2,512,64 8,8,8 bf16"; do
  read -r extents grid dtype <<<"$shape"
  quiet bench attention --shape "$extents" --grid "$grid" --dtype "$dtype" --repeats 3 \
    --out "$kOut/bench-${extents//,/x}-$dtype.json"
done
