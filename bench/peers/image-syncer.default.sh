options=()
if [[ $COMPANIONS == skip ]]; then
    options=(--signatures skip)
fi
image-syncer --images-file "$LIST" --target-repo-prefix "$TARGET/" "${options[@]}"
