#!/bin/sh
# Builds etcd, at the version go.mod names, into $OUT.
set -eu
cd "$(dirname "$0")"
CGO_ENABLED=0 go build -buildvcs=false -trimpath -mod=readonly -ldflags "-s -w" -o "$OUT/etcd" go.etcd.io/etcd/server/v3
