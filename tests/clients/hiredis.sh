#!/bin/sh
# hiredis: builds hiredis_client.c and runs it.
here="$(cd "$(dirname "$0")" && pwd)"
[ -f /usr/include/hiredis/hiredis.h ] || { echo "libhiredis-dev is not installed"; exit 77; }
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cc -Wall -o "$folder/hiredis" "$here/hiredis_client.c" -lhiredis && "$folder/hiredis" "$1"
