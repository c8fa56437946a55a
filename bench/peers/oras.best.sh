# oras copies referrers if asked to, and no cosign tags.
options=(--from-plain-http --to-plain-http --no-tty --concurrency 16)
if [[ $COMPANIONS == copy ]]; then
    options+=(--recursive)
fi
xargs -P 16 -L 1 oras cp "${options[@]}" <"$PAIRS"
