#!/usr/bin/env bash
# One chart in by each of five roads (helm push, the body of a POST, a form with provenance, the cm-push plugin, curl -T),
# and out by both, from a chart repository and over oci://: the same bytes, with each version of Helm.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs "${helm_versions[@]}" helm-cm-push gpg

# out_by_both ROAD [FILE]: the chart comes out of both roads as the file is, or else as the index says that it is.
out_by_both() {
  local road=$1 wanted
  check "$version, $road: repo add" \
    helm repo add "$road" "http://$registry/helm/$version/$road" --username "$user" --password "$password"
  check "$version, $road: repo update" helm repo update "$road"
  wanted=$(api "/helm/$version/$road/index.yaml" | jq -r '.entries.web[0].digest')
  if [ $# -gt 1 ]; then same "$version, $road: the index tells its digest" "$(sha256_of "$2")" "$wanted"; fi
  mkdir -p "$work/$version/$road/http" "$work/$version/$road/oci"
  check "$version, $road: pull from the chart repository" \
    helm pull "$road/web" --version 1.2.3 --destination "$work/$version/$road/http"
  same "$version, $road: it is the one that went in" "$wanted" "$(sha256_of "$work/$version/$road/http/web-1.2.3.tgz")"
  check "$version, $road: pull over oci" \
    helm pull --plain-http "oci://$registry/$version/$road/web" --version 1.2.3 --destination "$work/$version/$road/oci"
  same "$version, $road: it is the one that went in, too" "$wanted" "$(sha256_of "$work/$version/$road/oci/web-1.2.3.tgz")"
}

# cm_push ARGUMENT...: the plugin, as helm runs one that is installed.
cm_push() { HELM_REPO_USE_HTTP=true helm cm-push "$@"; }
# install_plugin: without the hook, which downloads what is here already.
install_plugin() {
  local folder=$work/$version/data/plugins/helm-push
  mkdir -p "$folder/bin"
  ln -s "$(command -v helm-cm-push)" "$folder/bin/helm-cm-push"
  # shellcheck disable=SC2016 # helm puts the folder in
  printf 'name: cm-push\nversion: 0.10.4\nusage: push charts\ndescription: push charts\ncommand: "$HELM_PLUGIN_DIR/bin/helm-cm-push"\n' \
    >"$folder/plugin.yaml"
}

start_granary
make_keys
for version in "${helm_versions[@]}"; do
  charts=$work/$version/charts
  file=$charts/web-1.2.3.tgz
  make_chart "$charts" web 1.2.3
  check "$version: package and sign" \
    helm package --sign --key tester --keyring "$keys/secret.gpg" --destination "$charts" "$charts/web"
  install_plugin
  says "$version: login" 'Login Succeeded' login "$user" "$password"
  base=http://$registry/helm/$version

  says "$version, push: helm push" "Pushed: $registry/$version/push/web:1.2.3" \
    helm push --plain-http "$file" "oci://$registry/$version/push"
  out_by_both push "$file"
  upload "$version, post: the body of a POST" 201 --data-binary "@$file" "$base/post/api/charts"
  same "$version, post: the answer" '{"saved":true}' "$(cat "$work/answer")"
  out_by_both post "$file"
  upload "$version, form: a form with provenance" 201 -F "chart=@$file" -F "prov=@$file.prov" "$base/form/api/charts"
  out_by_both form "$file"
  upload "$version, put: curl -T" 201 -T "$file" "$base/put/charts/"
  out_by_both put "$file"

  # helm push takes the signature along that lies beside the chart.
  for road in push form; do
    says "$version, $road: pull and verify" 'Signed by: tester' helm pull --verify --keyring "$keys/public.gpg" \
      "$road/web" --version 1.2.3 --destination "$work/$version/$road"
    says "$version, $road: pull and verify over oci" 'Signed by: tester' \
      helm pull --plain-http --verify --keyring "$keys/public.gpg" "oci://$registry/$version/$road/web" --version 1.2.3 \
      --destination "$work/$version/$road/oci"
  done

  # The plugin packs the chart anew, so that only what it sent is what comes out.
  check "$version, cm: repo add before" helm repo add cm "$base/cm" --username "$user" --password "$password"
  says "$version, cm: the plugin pushes to a repository by its name" 'Done\.' cm_push "$file" cm
  out_by_both cm
  # Packed within the same second it would be the same archive.
  echo '# other content' >>"$charts/web/values.yaml"
  refused "$version, cm: packed anew it is another chart" '409: web 1\.2\.3 was published with other content' cm_push "$charts/web" cm
  refused "$version, cm: not even by force" '409: .*not even by force' cm_push --force "$charts/web" cm
  refused "$version, cm: a wrong password" '401: ' cm_push --password not-the-password "$file" "$base/cm"
  says "$version, cm: a folder under another version" 'Done\.' cm_push --version 1.2.4 "$charts/web" cm
  token=$(api "/token?service=granary&scope=repository:$version/cm/web:pull,push" | jq -r .token)
  secrets+=("$token")
  says "$version, cm: with a token, by the address" 'Done\.' cm_push --version 1.2.5 --access-token "$token" "$charts/web" "$base/cm"
  # Where the plugin looks without the context that an index names.
  says "$version, cm: before the prefix" 'Done\.' cm_push --version 1.2.6 --context-path / "$charts/web" cm
  check "$version, cm: repo update after those" helm repo update cm
  for number in 1.2.4 1.2.5 1.2.6; do
    says "$version, cm: $number is there" "^cm/web[[:space:]]+${number//./\\.}[[:space:]]" helm search repo cm/web --versions
  done
done

finish
