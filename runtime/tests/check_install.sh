#!/bin/sh
# Installs the library to a temporary prefix and builds and runs the example, and a C program by pkg-config, against that alone.
# Usage: check_install.sh BUILD BUNDLES
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1 bundles=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/prefix" > "$work/log"
cmake -S "$here/../../examples/embed" -B "$work/embed" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/prefix" > "$work/log" || { cat "$work/log"; exit 1; }
cmake --build "$work/embed" > "$work/log" || { cat "$work/log"; exit 1; }

# Three frames of a soft gradient: three masks of the frames' size come out.
python3 - "$work/frames.bgr" <<'PY'
import sys
with open(sys.argv[1], "wb") as out:
    for n in range(3):
        out.write(bytes((40 + (x + 7 * n) % 160 + c * 9) for y in range(90) for x in range(120) for c in range(3)))
PY
"$work/embed/embed" "$bundles/polyp.edgeseg" 120x90 "$work/masks" < "$work/frames.bgr"
test "$(wc -c < "$work/masks")" -eq $((3 * 120 * 90))
# A status / 10 is the exit code: a missing bundle is 3, and what was there stays. Masks that cannot be written are 5.
code=0; "$work/embed/embed" /nonexistent 120x90 "$work/masks" < /dev/null 2> "$work/log" || code=$?
test "$code" -eq 3
test "$(wc -c < "$work/masks")" -eq $((3 * 120 * 90))
code=0; "$work/embed/embed" "$bundles/polyp.edgeseg" 120x90 "$work/no/masks" < "$work/frames.bgr" 2> "$work/log" || code=$?
test "$code" -eq 5
grep -q "cannot be written" "$work/log"
head -c 40000 "$work/frames.bgr" | "$work/embed/embed" "$bundles/polyp.edgeseg" 120x90 "$work/masks" 2> "$work/log"
grep -q "cut off after 7600 bytes" "$work/log"
test "$(wc -c < "$work/masks")" -eq $((120 * 90))

# Debian's folder of libraries is two below the prefix.
cmake -S "$here/../.." -B "$work/debian" -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_INSTALL_LIBDIR=lib/some-linux-gnu > "$work/log" ||
    { cat "$work/log"; exit 1; }
grep -qxF 'prefix=${pcfiledir}/../../../' "$(find "$work/debian" -name edgeseg.pc)"

if command -v pkg-config > "$work/log"; then
    file=$(find "$work/prefix" -name edgeseg.pc)
    printf '#include <edgeseg/edgeseg.h>\n#include <stdio.h>\nint main(void) { return puts(edgeseg_version()) < 0; }\n' > "$work/main.c"
    flags=$(PKG_CONFIG_PATH=$(dirname "$file") pkg-config --cflags --libs edgeseg)
    cc -std=c99 -pedantic -Wall -Werror "$work/main.c" $flags -Wl,-rpath,"$(dirname "$(dirname "$file")")" -o "$work/main"
    "$work/main"
fi
