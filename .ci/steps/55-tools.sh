#!/usr/bin/env bash
# title: Clients and the conformance program that are Go modules or Python packages
# limit: 1800
# needed: yes
set -euo pipefail
tools=${GRANARY_TOOLS:-${HOME:-/root}/.cache/granary-tools}

# install NAME VERSION PACKAGE: built once for a version, under $tools/NAME-VERSION, named by a link in $tools/bin.
install() {
  local name=$1 version=$2 package=$3 folder=$tools/$1-$2
  if [ ! -x "$folder/${package##*/}" ]; then
    echo "building $name $version"
    GOBIN=$folder GOFLAGS='' GOTOOLCHAIN=local go install "$package@$version"
  fi
  mkdir -p "$tools/bin"
  ln -sfn "$folder/${package##*/}" "$tools/bin/$name"
}

# build NAME VERSION PACKAGE MODULE: the same for a module whose proxy entry has no list of its versions, which `go install
# PACKAGE@VERSION` asks for and a module of our own that requires it does not.
build() {
  local name=$1 version=$2 package=$3 module=$4 folder=$tools/$1-$2 around
  if [ ! -x "$folder/${package##*/}" ]; then
    echo "building $name $version"
    around=$(mktemp -d)
    (
      cd "$around"
      export GOBIN=$folder GOFLAGS=-mod=mod GOTOOLCHAIN=local
      go mod init tools 2>/dev/null
      go mod edit -require "$module@$version"
      go install "$package"
    )
    rm -rf "$around"
  fi
  mkdir -p "$tools/bin"
  ln -sfn "$folder/${package##*/}" "$tools/bin/$name"
}

install conformance v0.0.0-20260831232431-97274622c111 github.com/opencontainers/distribution-spec/conformance
install crane v0.22.1 github.com/google/go-containerregistry/cmd/crane
install oras v1.3.6 oras.land/oras/cmd/oras
# Both majors of Helm are in use, and of the older one releases of years ago: the oldest that we promise, the newest of each.
install helm3.12 v3.12.3 helm.sh/helm/v3/cmd/helm
install helm3 v3.22.0 helm.sh/helm/v3/cmd/helm
install helm4 v4.3.1 helm.sh/helm/v4/cmd/helm
# The plugin that pushes charts to ChartMuseum.
build helm-cm-push v0.10.4 github.com/chartmuseum/helm-push/cmd/helm-cm-push github.com/chartmuseum/helm-push

# tuspy, a client of tus, in an environment of its own; tuspy-python is the interpreter that knows it.
tuspy=1.1.0
environment=$tools/tuspy-$tuspy
if [ ! -x "$environment/bin/tuspy-python" ]; then
  echo "installing tuspy $tuspy"
  python3 -m venv --clear "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check "tuspy==$tuspy"
  # Not a link: the interpreter finds its environment by the path that it is called by. The last step, so that half an environment is none.
  printf '#!/bin/sh\nexec "%s/bin/python" "$@"\n' "$environment" >"$environment/tuspy-python"
  chmod +x "$environment/tuspy-python"
  mv "$environment/tuspy-python" "$environment/bin/tuspy-python"
fi
ln -sfn "$environment/bin/tuspy-python" "$tools/bin/tuspy-python"
