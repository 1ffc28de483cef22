#!/bin/sh
# Builds Karpenter with its kwok provider, which makes nodes that KWOK plays, at
# the version go.mod names, into $OUT; its kinds lie in $OUT/crds.
set -eu
cd "$(dirname "$0")"
CGO_ENABLED=0 go build -buildvcs=false -trimpath -mod=readonly -ldflags "-s -w" -o "$OUT/karpenter" sigs.k8s.io/karpenter/kwok
module=$(go list -m -f '{{.Dir}}' sigs.k8s.io/karpenter)
mkdir "$OUT/crds"
cp "$module"/pkg/apis/crds/*.yaml "$module"/kwok/apis/crds/*.yaml "$OUT/crds/"
chmod -R u+w "$OUT/crds"
