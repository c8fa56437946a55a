# crane leaves companions out.
while read -r source target; do
    crane copy "$source" "$target"
done <"$PAIRS"
