#!/bin/sh
# Builds the fuzz targets and runs each for SECONDS (20). What they find lands in build/fuzz. Usage: run.sh [SECONDS]
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-20}
if ! command -v clang++-14 > /dev/null; then
    echo "fuzzing skipped: no clang++-14 (Debian: apt-get install clang-14 libclang-rt-14-dev)"
    exit 0
fi
cmake --preset fuzz > /dev/null
cmake --build --preset fuzz -j2 > /dev/null
for target in manifest graph frame; do
    mkdir -p "build/fuzz/corpus/$target"
    "build/fuzz/runtime/fuzz/fuzz_$target" -max_total_time="$seconds" -max_len=8192 -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/" "build/fuzz/corpus/$target" "runtime/fuzz/corpus/$target" 2> "build/fuzz/$target.log" ||
        { tail -40 "build/fuzz/$target.log"; exit 1; }
    echo "fuzz_$target: $(sed -n 's/stat::number_of_executed_units: *//p' "build/fuzz/$target.log") executions, nothing found"
done
