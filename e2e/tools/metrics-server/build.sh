#!/bin/sh
# Builds metrics-server, at the version go.mod names, into $OUT.
set -eu
cd "$(dirname "$0")"
CGO_ENABLED=0 go build -buildvcs=false -trimpath -mod=readonly -ldflags "-s -w" -o "$OUT/metrics-server" sigs.k8s.io/metrics-server/cmd/metrics-server
