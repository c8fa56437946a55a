digest_tags_and_referrers=false
if [[ $COMPANIONS == copy ]]; then
    digest_tags_and_referrers=true
fi
cat >regsync.yaml - "$REGSYNC" <<END
version: 1
creds:
  - registry: "$SOURCE"
    tls: disabled
  - registry: "$TARGET"
    tls: disabled
defaults:
  digestTags: $digest_tags_and_referrers
  referrers: $digest_tags_and_referrers
sync:
END
regsync once --config regsync.yaml --verbosity warn
