# skopeo leaves companions out.
while read -r source target; do
    skopeo copy --all --src-tls-verify=false --dest-tls-verify=false "docker://$source" "docker://$target"
done <"$PAIRS"
