#!/usr/bin/env bash
# Draws docs/figures.md anew: every kind of file from data/tiny-wan with the program, then every figure.
# About 8 minutes on 2 cores. Build first (scripts/setup.sh). Files: out/gallery/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly kProgram=$PWD/build/release/bin/sparsescope
export SPARSESCOPE_PROGRAM=$kProgram
mkdir -p out/gallery
[[ -f out/gallery/done ]] || tests/python/make_data.sh "$kProgram" data/tiny-wan out/gallery 4 8
touch out/gallery/done
.venv/bin/python python/gallery.py out/gallery docs notebooks_export/README.md
