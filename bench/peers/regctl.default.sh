options=(--host "reg=$SOURCE,tls=disabled" --host "reg=$TARGET,tls=disabled")
if [[ $COMPANIONS == copy ]]; then
    options+=(--digest-tags --referrers)
fi
while read -r source target; do
    regctl image copy "${options[@]}" "$source" "$target"
done <"$PAIRS"
