#!/usr/bin/env bash
# Set-up, then all tests of the release build. Arguments go to ctest: scripts/test.sh -R sparse
set -euo pipefail
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}  # two test programs share two cores
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
ctest=ctest
[[ -x .venv/bin/ctest ]] && ctest=.venv/bin/ctest  # where the distribution's CMake is too old
exec "$ctest" --test-dir build/release --output-on-failure --parallel 2 "$@"
