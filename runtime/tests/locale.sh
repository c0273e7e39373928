#!/bin/sh
# Runs TEST in locales of our own, so that none needs to be installed: the decimal point is a comma, then U+066B, two bytes long,
# as in Persian. Usage: locale.sh TEST
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for point in 002C 066B; do
    printf 'comment_char %%\nescape_char /\nLC_NUMERIC\ndecimal_point "<U%s>"\nthousands_sep "<U002E>"\ngrouping 3;3\nEND LC_NUMERIC\n' $point > "$work/source"
    # It complains of the other categories, and still writes (-c).
    localedef --no-archive -c -i "$work/source" -f UTF-8 "$work/xx_XX" > "$work/log" 2>&1 || test -f "$work/xx_XX/LC_NUMERIC" ||
        { echo "skipped: no localedef, or no UTF-8 charmap (Debian: apt-get install locales)"; exit 77; }
    LOCPATH="$work" "$1"
    rm -r "$work/xx_XX"
done
