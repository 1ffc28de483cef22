#!/bin/sh
# Builds Kueue, at the version go.mod names, into $OUT; the chart that installs it
# lies in $OUT/chart.
set -eu
cd "$(dirname "$0")"
CGO_ENABLED=0 go build -buildvcs=false -trimpath -mod=readonly -ldflags "-s -w" -o "$OUT/kueue" sigs.k8s.io/kueue/cmd/kueue
module=$(go list -m -f '{{.Dir}}' sigs.k8s.io/kueue)
cp -r "$module/charts/kueue" "$OUT/chart"
chmod -R u+w "$OUT/chart"
