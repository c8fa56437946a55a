digest_tags_and_referrers=false
if [[ $COMPANIONS == copy ]]; then
    digest_tags_and_referrers=true
fi
cat >regsync.yaml - "$REGSYNC" <<END
version: 1
creds:
  - registry: "$SOURCE"
    tls: disabled
    reqConcurrent: 64
  - registry: "$TARGET"
    tls: disabled
    reqConcurrent: 64
defaults:
  parallel: 32
  digestTags: $digest_tags_and_referrers
  referrers: $digest_tags_and_referrers
sync:
END
regsync once --config regsync.yaml --verbosity warn
