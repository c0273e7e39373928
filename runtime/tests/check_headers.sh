#!/bin/sh
# Compiles the TensorRT backend against headers that need not be installed, with all warnings as errors; nothing is linked or run.
# Usage: check_headers.sh CUDA_INCLUDE INCLUDE...   (folders of cuda_runtime_api.h and of NvInfer.h)
set -eu
cd "$(dirname "$0")/.."
cuda=$1
shift
for include; do
    version=$(printf '#include <NvInferVersion.h>\n#ifdef TRT_MAJOR_RTX\nRTX TRT_MAJOR_RTX.TRT_MINOR_RTX.TRT_PATCH_RTX\n#else\nTensorRT NV_TENSORRT_MAJOR.NV_TENSORRT_MINOR.NV_TENSORRT_PATCH\n#endif\n' |
        ${CXX:-c++} -E -P -x c++ -isystem "$include" - | grep -E '^(RTX|TensorRT) ' | sed 's/ *\. */./g')
    ${CXX:-c++} -std=c++17 -O1 -Wall -Wextra -Wconversion -Werror -fsyntax-only -Iinclude -Isrc -isystem "$include" -isystem "$cuda" src/backend_tensorrt.cpp
    echo "$version: compiles"
done
