#!/usr/bin/env bash
# Everything that a fresh Debian 12 or Ubuntu 22.04+ machine needs, then the release build:
# Debian packages, .venv with LibTorch and the Python side, build/release/bin/sparsescope. A second run
# changes nothing.
#
#   scripts/setup.sh [--program] [--cuda | --gpu] [-DNAME=VALUE ...]     -D options go to CMake
#
# --program builds the program alone, without the tests and what they need (browsers). The CUDA back end
# is built where nvcc is found; --cuda installs the compiler's wheels where it is not. --gpu also installs
# the libraries that LibTorch computes with on a GPU (3 GB). Without root and without sudo the script
# prints the packages that an administrator has to install, and stops.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly kVenv=.venv
readonly kMinCmake=3.25   # CMakePresets.json is of version 6
readonly kMinGcc=12
readonly kMinNvcc=13.0

want_cuda=no
want_gpu=no
target=all
cmake_options=()
for argument in "$@"; do
  case "$argument" in
    --cuda) want_cuda=yes ;;
    --gpu) want_cuda=yes want_gpu=yes ;;
    --program) target=sparsescope ;;
    -D*) cmake_options+=("$argument") ;;
    *) echo "setup.sh: unknown argument '$argument'; allowed: --program, --cuda, --gpu, -DNAME=VALUE" >&2; exit 2 ;;
  esac
done

say() { echo "setup: $*"; }

at_least() {  # at_least MINIMUM VERSION
  [[ -n "$2" && "$(printf '%s\n' "$1" "$2" | sort -V | head -n1)" == "$1" ]]
}

required_packages() {
  echo build-essential ca-certificates cmake ninja-build ccache pkg-config python3 python3-venv \
       libbenchmark-dev libboost-context-dev libcli11-dev libeigen3-dev libfmt-dev libgmock-dev libgtest-dev \
       libhdf5-dev libspdlog-dev libssl-dev nlohmann-json3-dev
  # The report is tested in real browsers. Ubuntu has them as snaps alone: there the tests say that they skip.
  [[ $target == all && $(. /etc/os-release && echo "$ID") == debian ]] && echo chromium firefox-esr
  # Distributions whose default compiler is older carry a newer one beside it.
  local gcc_version
  gcc_version=$(g++ -dumpversion 2>/dev/null || apt_candidate_gcc)
  at_least "$kMinGcc" "$gcc_version" || echo "g++-$kMinGcc"
}

apt_candidate_gcc() {
  apt-cache policy g++ 2>/dev/null | sed -n 's/.*Candidate: [0-9]*:\{0,1\}\([0-9]*\).*/\1/p'
}

missing_packages() {
  local package
  for package in $(required_packages); do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
  done
}

install_packages() {
  local missing as_root=()
  missing=$(missing_packages | sort -u | tr '\n' ' ')
  [[ -z "$missing" ]] && return
  if [[ $(id -u) -ne 0 ]]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
      as_root=(sudo -n)
    else
      echo "setup: these packages are missing, and installing them takes root. Ask an administrator for" >&2
      echo "  apt-get install $missing" >&2
      exit 1
    fi
  fi
  say "installing $missing"
  "${as_root[@]}" apt-get update -q
  # shellcheck disable=SC2086  # a list of words
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
}

# A stamp holds the hash of the list that was installed last: an unchanged list costs nothing.
install_python_list() {
  local list=$1 stamp
  stamp="$kVenv/.installed-$(basename "$list" .txt)"
  local hash
  hash=$(sha256sum <"$list")
  [[ -f "$stamp" && "$(cat "$stamp")" == "$hash" ]] && return
  say "installing $list into $kVenv"
  "$kVenv/bin/python" -m pip install -q --disable-pip-version-check --no-deps -r "$list"
  echo "$hash" >"$stamp"
}

# The package itself, from this folder: an edit of it needs no second installation.
install_package() {
  "$kVenv/bin/python" -c 'import importlib.metadata as m; m.version("sparsescope")' 2>/dev/null &&
    [[ ! pyproject.toml -nt "$kVenv/.installed-package" ]] && return
  say "installing the Python package sparsescope into $kVenv"
  "$kVenv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
  touch "$kVenv/.installed-package"
}

make_venv() {
  if [[ ! -x "$kVenv/bin/python" ]] || ! "$kVenv/bin/python" -c 'import pip' 2>/dev/null; then
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
      { echo "setup: Python 3.10 or newer is needed, found $(python3 --version)" >&2; exit 1; }
    say "creating $kVenv"
    rm -rf "$kVenv"
    python3 -m venv "$kVenv"
  fi
  install_python_list requirements.txt
  install_python_list requirements-figures.txt
  [[ $target == all ]] && install_python_list requirements-tests.txt
  install_package
  at_least "$kMinCmake" "$(system_cmake_version)" || install_python_list requirements-cmake.txt
  if [[ $want_cuda == yes ]] && ! has_nvcc; then
    install_python_list requirements-cuda.txt
  fi
  [[ $want_gpu == no ]] || install_python_list requirements-gpu.txt
  has_nvcc && install_python_list requirements-cuda-headers.txt
  return 0
}

# Of a toolkit, or of the wheels: what cmake/Cuda.cmake looks for.
has_nvcc() {
  local nvcc
  for nvcc in "${CUDACXX:-}" "$(command -v nvcc)" /usr/local/cuda/bin/nvcc \
              "$kVenv"/lib/python3*/site-packages/nvidia/cu13/bin/nvcc; do
    [[ -x "$nvcc" ]] && at_least "$kMinNvcc" "$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')" && return
  done
  return 1
}

system_cmake_version() { cmake --version 2>/dev/null | sed -n '1s/cmake version //p'; }

build() {
  local cmake=cmake
  at_least "$kMinCmake" "$(system_cmake_version)" || cmake="$kVenv/bin/cmake"
  if ! at_least "$kMinGcc" "$(g++ -dumpversion)"; then
    export CC=gcc-$kMinGcc CXX=g++-$kMinGcc
  fi
  say "configuring build/release"
  local output
  output=$("$cmake" --preset release "${cmake_options[@]}" 2>&1) || { echo "$output" >&2; exit 1; }
  say "building (the first time takes several minutes)"
  "$cmake" --build --preset release --target "$target"
}

install_packages
make_venv
build
say "done: build/release/bin/sparsescope"
