# skopeo leaves companions out, and has no option for concurrency.
sed 's|^|docker://|; s| | docker://|' "$PAIRS" |
    xargs -P 16 -L 1 skopeo copy --all --src-tls-verify=false --dest-tls-verify=false
