#!/usr/bin/env bash
# Helm against Granary over oci://, with the current and the previous major version of Helm.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs helm3 helm4

# helm COMMAND...: the version under test, with a home of its own.
helm() {
  HELM_CONFIG_HOME="$work/$version/config" HELM_CACHE_HOME="$work/$version/cache" HELM_DATA_HOME="$work/$version/data" \
    limited "$version" "$@"
}
login() { printf '%s' "$2" | helm registry login --plain-http --username "$1" --password-stdin "$registry"; }
digest_in() { grep -oE 'sha256:[0-9a-f]{64}' <<<"$1" | head -n 1; }

# make_chart DIR NAME VERSION
make_chart() {
  mkdir -p "$1/$2/templates"
  printf 'apiVersion: v2\nname: %s\ndescription: A test chart\ntype: application\nversion: %s\nappVersion: "1"\n' "$2" "$3" >"$1/$2/Chart.yaml"
  printf 'greeting: hello\n' >"$1/$2/values.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  greeting: {{ .Values.greeting }}\n' >"$1/$2/templates/config.yaml"
}

start_granary
for version in helm3 helm4; do
  charts=$work/$version/charts
  # Each version has its own project; the second chart's version has build metadata, whose + no tag may hold.
  make_chart "$charts" web 1.2.3
  check "$version: package" helm package --destination "$charts" "$charts/web"
  sed -i 's/^version: .*/version: 1.2.4+build.5/' "$charts/web/Chart.yaml"
  check "$version: package a version with build metadata" helm package --destination "$charts" "$charts/web"

  refused "$version: push without login is refused" 'unauthorized|denied|basic credential not found|authentication required' \
    helm push --plain-http "$charts/web-1.2.3.tgz" "oci://$registry/$version/charts"
  refused "$version: login with a wrong password is refused" 'unauthorized|denied|invalid' login "$user" not-the-password
  says "$version: login" 'Login Succeeded' login "$user" "$password"

  says "$version: push" "Pushed: $registry/$version/charts/web:1.2.3" \
    helm push --plain-http "$charts/web-1.2.3.tgz" "oci://$registry/$version/charts"
  digest=$(digest_in "$output")
  says "$version: push of a version with build metadata" "Pushed: $registry/$version/charts/web:1.2.4_build.5" \
    helm push --plain-http "$charts/web-1.2.4+build.5.tgz" "oci://$registry/$version/charts"
  same "$version: the tags of the chart" '1.2.3 1.2.4_build.5' "$(api "/v2/$version/charts/web/tags/list" | jq -r '.tags | join(" ")')"

  says "$version: pull" "Digest: $digest" \
    helm pull --plain-http "oci://$registry/$version/charts/web" --version 1.2.3 --destination "$work/$version"
  same "$version: the pulled chart is the one that was pushed" "$(sha256_of "$charts/web-1.2.3.tgz")" "$(sha256_of "$work/$version/web-1.2.3.tgz")"
  check "$version: pull of a version with build metadata" \
    helm pull --plain-http "oci://$registry/$version/charts/web" --version 1.2.4+build.5 --destination "$work/$version"
  pulled=$(find "$work/$version" -maxdepth 1 -name 'web-1.2.4*.tgz')
  same "$version: it is the one that was pushed" "$(sha256_of "$charts/web-1.2.4+build.5.tgz")" "$(sha256_of "${pulled:-/dev/null}")"
  says "$version: pull by a range of versions" 'Pulled: ' \
    helm pull --plain-http "oci://$registry/$version/charts/web" --version '~1.2.0' --destination "$work/$version"
  says "$version: show chart" '^version: 1.2.4\+build.5$' helm show chart --plain-http "oci://$registry/$version/charts/web" --version 1.2.4+build.5
  says "$version: show values" '^greeting: hello$' helm show values --plain-http "oci://$registry/$version/charts/web" --version 1.2.3
  says "$version: template from the registry" 'greeting: hi' \
    helm template release --plain-http "oci://$registry/$version/charts/web" --version 1.2.3 --set greeting=hi
  refused "$version: pull of a version that does not exist" 'not found|unable to locate|no matching|not.*exist' \
    helm pull --plain-http "oci://$registry/$version/charts/web" --version 9.9.9 --destination "$work/$version"

  check "$version: logout" helm registry logout "$registry"
  refused "$version: pull after logout is refused" 'unauthorized|denied|basic credential not found|authentication required' \
    helm pull --plain-http "oci://$registry/$version/charts/web" --version 1.2.3 --destination "$work/$version"
done

finish
