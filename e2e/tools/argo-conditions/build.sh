#!/bin/sh
# Builds what judges conditions of Argo Workflows, with the two libraries that its executor judges by at the
# versions go.mod names, into $OUT.
set -eu
cd "$(dirname "$0")"
CGO_ENABLED=0 go build -buildvcs=false -trimpath -mod=readonly -ldflags "-s -w" -o "$OUT/argo-conditions" .
