#!/usr/bin/env bash
# Makes a Python with PyTorch and TensorBoard in target/pytorch, for the tests that compare with them, and prints its path:
#
#     DISTILLERY_PYTHON=$(scripts/pytorch.sh) npm test
#
# PyPI's PyTorch for x86-64 Linux is one for CUDA: with what it asks for it downloads 3 GB and fills 5. Nothing here
# runs on a GPU, so only PyTorch itself and the small CUDA runtime are installed; the libraries that are left out are
# stood in for by one that has their names, and ends the process if one is ever called. Elsewhere PyPI's is for CPUs.
# PYTHON names another Python than python3 to make it from.
set -euo pipefail
cd "$(dirname "$0")/.."
# The imports below keep what they compile: without it `import torch` takes 5 seconds in each test instead of 1.
export PYTHONDONTWRITEBYTECODE=

torch=2.15.0
cuda=13.2.86
venv="$PWD/target/pytorch"
python="$venv/bin/python"
[ -d "$venv/Scripts" ] && python="$venv/Scripts/python.exe"

install() { "$python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile "$@" >&2; }

# A library in the place of every one that PyTorch's own can't find.
stand_in() {
  local lib missing undefined
  lib=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch/lib
  missing=$(ldd "$lib"/*.so | awk '/not found/ {print $1}' | sort -u)
  # "undefined symbol: NAME, version VERSION (FILE)"; what begins with Py is the interpreter's.
  undefined=$(ldd -r "$lib"/*.so 2>&1 | sed -nE 's/^undefined symbol: ([A-Za-z0-9_]+)(, version ([^ ]+))?[[:space:]].*/\3 \1/p' |
    grep -vE ' _?Py' | sort -u)
  awk '{print "void " $NF "(void) { __builtin_trap(); }"}' <<<"$undefined" >"$venv/absent.c"
  awk 'NF == 2 {if ($1 != v) {if (v) print "};"; v = $1; print v " {"} print "  " $2 ";"} END {if (v) print "};"}' \
    <<<"$undefined" >"$venv/absent.map"
  cc -shared -o "$lib/libabsent.so" "$venv/absent.c" -Wl,-soname,libabsent.so "-Wl,--version-script=$venv/absent.map"
  for name in $missing; do ln -f "$lib/libabsent.so" "$lib/$name"; done
}

if ! "$python" -W error -c "import torch; assert torch.__version__.split('+')[0] == '$torch'; torch.ones(1).exp()" 2>/dev/null; then
  rm -rf "$venv"
  "${PYTHON:-python3}" -m venv "$venv"
  [ -d "$venv/Scripts" ] && python="$venv/Scripts/python.exe"
  if [ "$(uname -sm)" = "Linux x86_64" ]; then
    install numpy filelock fsspec jinja2 networkx sympy typing-extensions
    install --no-deps "torch==$torch" "nvidia-cuda-runtime==$cuda" "nvidia-cuda-cupti==$cuda"
    stand_in
  else
    install "torch==$torch" numpy
  fi
  "$python" -W error -c "import torch; torch.ones(1).exp()" >&2
fi
"$python" -c "import tensorboard" 2>/dev/null || install tensorboard
echo "$python"
