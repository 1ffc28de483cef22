#!/bin/sh
# Builds helm, at the version go.mod names, into $OUT.
set -eu
cd "$(dirname "$0")"
CGO_ENABLED=0 go build -buildvcs=false -trimpath -mod=readonly -ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=$(go list -m -f "{{.Version}}" helm.sh/helm/v4)" -o "$OUT/helm" helm.sh/helm/v4/cmd/helm
