#!/usr/bin/env bash
# Puts what scripts/gpu-check.sh runs into one folder, for a GPU machine where nothing can be built or
# installed: the stripped programs and the shared libraries that they need, LibTorch and the driver
# excepted. Build first (scripts/setup.sh --cuda).
#
#   scripts/gpu-bundle.sh FOLDER
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

(( $# == 1 )) || { echo "usage: scripts/gpu-bundle.sh FOLDER" >&2; exit 2; }
folder=$1
readonly kBuilt=build/release/bin
readonly kOfTheMachine='/(libc|libm|libdl|librt|libpthread|libresolv|libutil|ld-linux[^/]*|libstdc\+\+|libgcc_s|libtorch[^/]*|libc10[^/]*|libgomp[^/]*|libcudart|libcupti|libcuda)(-[^/]*)?\.so'

rm -rf "$folder"
mkdir -p "$folder/bin" "$folder/lib"
programs=("$kBuilt/sparsescope" "$kBuilt"/*_on_gpu)
for program in "${programs[@]}"; do
  strip -o "$folder/bin/$(basename "$program")" "$program"
done
ldd "${programs[@]}" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | sort -u | grep -Ev "$kOfTheMachine" |
  while read -r library; do cp -L "$library" "$folder/lib/"; done
pwd >"$folder/root"  # where the tests look for their data
git rev-parse --short HEAD >"$folder/commit" 2>/dev/null || echo unknown >"$folder/commit"
du -sh "$folder"
