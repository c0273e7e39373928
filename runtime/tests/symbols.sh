#!/bin/sh
# Exactly the functions of edgeseg.h are exported. Usage: symbols.sh LIBRARY HEADER
set -eu
exported=$(nm -D --defined-only "$1" | awk '$2 != "A" {print $3}' | sed 's/@.*//' | sort)
declared=$(grep -o '^EDGESEG_API [^(]*' "$2" | grep -o '[a-z_]*$' | sort)
if [ "$exported" != "$declared" ]; then
    echo "exported:" $exported
    echo "declared:" $declared
    exit 1
fi
# No stray output, exit or signal handling in our own objects' imports.
if nm -D --undefined-only "$1" | grep -wE 'exit|_exit|abort_handler|signal|sigaction|setlocale|printf|puts|fprintf|perror|getenv|setenv' ; then
    echo "the library calls one of these, which the header rules out"
    exit 1
fi
