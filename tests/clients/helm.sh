#!/usr/bin/env bash
# Helm against Granary over oci:// and as a chart repository, with the oldest Helm that we promise and the newest of each
# major version.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs "${helm_versions[@]}" gpg

digest_in() { grep -oE 'sha256:[0-9a-f]{64}' <<<"$1" | head -n 1; }

# out_by_both WHAT CHART VERSION FILE: the chart comes out of both roads as the file is.
out_by_both() {
  local what=$1 name=$2 number=$3 file=$4 road
  for road in http oci; do
    rm -rf "${work:?}/$version/$road"
    mkdir -p "$work/$version/$road"
  done
  check "$what: pull from the chart repository" helm pull "mine/$name" --version "$number" --destination "$work/$version/http"
  same "$what: it is the one that went in" "$(sha256_of "$file")" "$(sha256_of "$work/$version/http/$name-$number.tgz")"
  check "$what: pull over oci" \
    helm pull --plain-http "oci://$registry/$version/charts/$name" --version "$number" --destination "$work/$version/oci"
  same "$what: it is the one that went in, too" "$(sha256_of "$file")" "$(sha256_of "$work/$version/oci/$name-$number.tgz")"
}

start_granary
make_keys
for version in "${helm_versions[@]}"; do
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

  # The same charts as a chart repository, two levels deep.
  refused "$version: repo add without a password is refused" '401|unauthorized' helm repo add mine "http://$registry/helm/$version/charts"
  says "$version: repo add" 'has been added' \
    helm repo add mine "http://$registry/helm/$version/charts" --username "$user" --password "$password"
  says "$version: search finds what was pushed" '^mine/web[[:space:]]+1\.2\.3[[:space:]]' helm search repo mine --versions
  says "$version: search finds build metadata" '^mine/web[[:space:]]+1\.2\.4\+build\.5[[:space:]]' helm search repo mine --versions
  out_by_both "$version: pushed" web 1.2.3 "$charts/web-1.2.3.tgz"

  for number in 2.0.0 2.1.0 2.2.0; do
    make_chart "$charts" web "$number"
    check "$version: package $number" helm package --destination "$charts" "$charts/web"
  done
  api_of="http://$registry/helm/$version/charts"
  upload "$version: upload by POST" 201 --data-binary "@$charts/web-2.0.0.tgz" "$api_of/api/charts"
  upload "$version: upload by a form" 201 -F "chart=@$charts/web-2.1.0.tgz" "$api_of/api/charts"
  upload "$version: upload by curl -T" 201 -T "$charts/web-2.2.0.tgz" "$api_of/charts/"
  upload "$version: the same again" 201 --data-binary "@$charts/web-2.0.0.tgz" "$api_of/api/charts"
  upload "$version: an upload of something else is refused" 400 --data-binary "@$charts/web/Chart.yaml" "$api_of/api/charts"
  same "$version: the fault is named" 'the chart is no gzip archive, or is damaged or cut off' "$(jq -r .error "$work/answer")"
  says "$version: repo update" 'Successfully got an update' helm repo update
  out_by_both "$version: by POST" web 2.0.0 "$charts/web-2.0.0.tgz"
  out_by_both "$version: by a form" web 2.1.0 "$charts/web-2.1.0.tgz"
  out_by_both "$version: by curl -T" web 2.2.0 "$charts/web-2.2.0.tgz"
  says "$version: the newest is found first" '^mine/web[[:space:]]+2\.2\.0[[:space:]]' helm search repo mine/web
  says "$version: template from the chart repository" 'greeting: hi' helm template release mine/web --version 2.0.0 --set greeting=hi
  says "$version: template over oci what came over http" 'greeting: hi' \
    helm template release --plain-http "oci://$registry/$version/charts/web" --version 2.0.0 --set greeting=hi

  # What the cm-push plugin sends with an index that has no serverInfo, and what a script reads of a version.
  make_chart "$charts" pushed 1.0.0
  printf 'icon: 5\nunknown: [1]\nannotations: {n: 1}\n' >>"$charts/pushed/Chart.yaml"
  sed -i 's/^appVersion: .*/appVersion: 1e6/' "$charts/pushed/Chart.yaml"
  tar -czf "$charts/pushed-1.0.0.tgz" -C "$charts" pushed
  api_before="http://$registry/api/helm/$version/charts"
  upload "$version: upload to the API before the prefix" 201 -F "chart=@$charts/pushed-1.0.0.tgz" "$api_before/charts"
  upload "$version: the values of a version" 200 "$api_before/charts/pushed/1.0.0/values"
  same "$version: they are the chart's" 'greeting: hello' "$(cat "$work/answer")"
  upload "$version: the values of the latest version" 200 --location "$api_of/api/charts/pushed/latest/values"
  check "$version: repo update after odd values in Chart.yaml" helm repo update
  says "$version: helm reads the index" '^mine/pushed[[:space:]]+1\.0\.0[[:space:]]+1e\+06[[:space:]]' helm search repo mine/pushed
  same "$version: and has nothing to warn of" 0 "$(helm search repo mine 2>&1 | grep -ciE 'skipping|warn')"
  upload "$version: an index as gzip" 200 --compressed "$api_of/index.yaml"
  cp "$work/answer" "$work/$version/index"
  upload "$version: an index as it is" 200 "$api_of/index.yaml"
  same "$version: they are the same" "$(sha256_of "$work/answer")" "$(sha256_of "$work/$version/index")"

  # A signature that comes after its chart.
  make_chart "$charts" signed 1.0.0
  check "$version: package and sign" helm package --sign --key tester --keyring "$keys/secret.gpg" --destination "$charts" "$charts/signed"
  upload "$version: a signature before its chart" 404 --data-binary "@$charts/signed-1.0.0.tgz.prov" "$api_of/api/prov"
  upload "$version: the chart alone" 201 -T "$charts/signed-1.0.0.tgz" "$api_of/charts/"
  check "$version: repo update before the signature" helm repo update
  refused "$version: what is not signed is not verified" 'provenance|prov' \
    helm pull --verify --keyring "$keys/public.gpg" mine/signed --destination "$work/$version"
  upload "$version: a signature of another chart" 400 -T "$charts/signed-1.0.0.tgz.prov" "$api_of/charts/web-2.0.0.tgz.prov"
  upload "$version: the signature" 201 -F "prov=@$charts/signed-1.0.0.tgz.prov" "$api_of/api/prov"
  upload "$version: the signature again, by its name" 201 -T "$charts/signed-1.0.0.tgz.prov" "$api_of/charts/"
  says "$version: pull and verify" 'Signed by: tester' \
    helm pull --verify --keyring "$keys/public.gpg" mine/signed --destination "$work/$version"
  says "$version: pull and verify over oci" 'Signed by: tester' \
    helm pull --plain-http --verify --keyring "$keys/public.gpg" "oci://$registry/$version/charts/signed" --version 1.0.0 --destination "$work/$version/oci"

  # What helm install does before it asks a cluster; Helm 3 asks one in a dry run, too, and only makes templates without.
  if [ "$version" = helm4 ]; then
    says "$version: install without a cluster" 'greeting: hi' \
      helm install release mine/web --version 2.0.0 --set greeting=hi --dry-run=client
    says "$version: install over oci without a cluster" 'greeting: hi' \
      helm install release --plain-http "oci://$registry/$version/charts/web" --version 2.0.0 --set greeting=hi --dry-run=client
  fi

  # A prefix that holds another chart repository besides its own charts.
  make_chart "$charts" deep 1.0.0
  check "$version: package for a deeper prefix" helm package --destination "$charts" "$charts/deep"
  check "$version: push to a deeper prefix" helm push --plain-http "$charts/deep-1.0.0.tgz" "oci://$registry/$version/charts/stable"
  says "$version: repo add of a deeper prefix" 'has been added' \
    helm repo add deep "http://$registry/helm/$version/charts/stable" --username "$user" --password "$password"
  says "$version: search in a deeper prefix" '^deep/deep[[:space:]]+1\.0\.0[[:space:]]' helm search repo deep/ --versions
  mkdir -p "$work/$version/deep"
  check "$version: pull from a deeper prefix" helm pull deep/deep --version 1.0.0 --destination "$work/$version/deep"
  same "$version: the chart of a deeper prefix" "$(sha256_of "$charts/deep-1.0.0.tgz")" "$(sha256_of "$work/$version/deep/deep-1.0.0.tgz")"
  refused "$version: the prefix above does not list it" 'not found|no chart version' \
    helm pull mine/deep --version 1.0.0 --destination "$work/$version/deep"

  # A chart that depends on one of the chart repository.
  make_chart "$charts" app 1.0.0
  printf 'dependencies:\n- name: web\n  version: ~2.0.0\n  repository: "@mine"\n- name: deep\n  version: 1.0.0\n  repository: "http://%s/helm/%s/charts/stable"\n' \
    "$registry" "$version" >>"$charts/app/Chart.yaml"
  check "$version: dependency update" helm dependency update "$charts/app"
  same "$version: the dependency by its address is the chart" "$(sha256_of "$charts/deep-1.0.0.tgz")" "$(sha256_of "$charts/app/charts/deep-1.0.0.tgz")"
  says "$version: template of a chart with dependencies" 'app/charts/web/templates/config.yaml' helm template release "$charts/app"
  same "$version: the dependency is the chart" "$(sha256_of "$charts/web-2.0.0.tgz")" "$(sha256_of "$charts/app/charts/web-2.0.0.tgz")"

  # What was published stays what it is, and what is deleted is gone from both.
  sed -i 's/^description: .*/description: changed/' "$charts/web/Chart.yaml"
  check "$version: package 2.2.0 with other content" helm package --destination "$work/$version" "$charts/web"
  upload "$version: a version never changes" 409 --data-binary "@$work/$version/web-2.2.0.tgz" "$api_of/api/charts"
  refused "$version: not by a push either" '409|conflict|denied' \
    helm push --plain-http "$work/$version/web-2.2.0.tgz" "oci://$registry/$version/charts"
  # A version that is withdrawn is chosen by nobody, and had by who names it.
  upload "$version: yank" 200 -X PATCH --data '{"yanked":true,"reason":"broken"}' "$api_of/api/charts/web/2.2.0"
  upload "$version: deprecate" 200 -X PATCH --data '{"deprecated":true}' "$api_of/api/charts/web/2.0.0"
  check "$version: repo update after the yank" helm repo update
  refused "$version: a yanked version is not in the chart repository" 'not found|no chart version' \
    helm pull mine/web --version 2.2.0 --destination "$work/$version"
  says "$version: nor chosen over oci" ':2.1.0$' \
    helm pull --plain-http "oci://$registry/$version/charts/web" --version '^2.0.0' --destination "$work/$version/oci"
  rm -f "$work/$version/oci/web-2.2.0.tgz"
  check "$version: a yanked version by its name" \
    helm pull --plain-http "oci://$registry/$version/charts/web" --version 2.2.0 --destination "$work/$version/oci"
  same "$version: it is the one that was published" "$(sha256_of "$charts/web-2.2.0.tgz")" "$(sha256_of "$work/$version/oci/web-2.2.0.tgz")"
  upload "$version: why it is not listed" 200 "$api_of/api/unlisted"
  same "$version: it says so" 'this version was yanked: broken' \
    "$(jq -r '.unlisted[] | select(.tags == ["2.2.0"]) | .reason' "$work/answer")"
  upload "$version: unyank" 200 -X PATCH --data '{"yanked":false}' "$api_of/api/charts/web/2.2.0"
  check "$version: repo update after it is back" helm repo update
  check "$version: a version that is back" helm pull mine/web --version 2.2.0 --destination "$work/$version/http"

  upload "$version: delete" 200 -X DELETE "$api_of/api/charts/web/2.1.0"
  check "$version: repo update after the delete" helm repo update
  refused "$version: a deleted version is gone from the chart repository" 'not found|no chart version' \
    helm pull mine/web --version 2.1.0 --destination "$work/$version"
  refused "$version: and over oci" 'not found|unable to locate|no matching|not.*exist' \
    helm pull --plain-http "oci://$registry/$version/charts/web" --version 2.1.0 --destination "$work/$version"

  check "$version: logout" helm registry logout "$registry"
  refused "$version: pull after logout is refused" 'unauthorized|denied|basic credential not found|authentication required' \
    helm pull --plain-http "oci://$registry/$version/charts/web" --version 1.2.3 --destination "$work/$version"
done

finish
