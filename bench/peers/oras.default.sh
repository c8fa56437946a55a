# oras copies referrers if asked to, and no cosign tags.
options=(--from-plain-http --to-plain-http --no-tty)
if [[ $COMPANIONS == copy ]]; then
    options+=(--recursive)
fi
while read -r source target; do
    oras cp "${options[@]}" "$source" "$target"
done <"$PAIRS"
