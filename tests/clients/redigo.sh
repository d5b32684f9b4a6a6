#!/bin/sh
# redigo: builds redigo_client.go with Debian's packages, without a module, and runs it.
here="$(cd "$(dirname "$0")" && pwd)"
command -v go >/dev/null && [ -d /usr/share/gocode/src/github.com/gomodule/redigo ] ||
  { echo "golang-go and golang-github-gomodule-redigo-dev are not installed"; exit 77; }
export GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$here/../../build/clients/go-cache" GOFLAGS=-p=2
exec go run "$here/redigo_client.go" "$1"
