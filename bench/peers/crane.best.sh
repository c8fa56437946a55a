# crane leaves companions out.
xargs -P 16 -L 1 crane copy --jobs 16 <"$PAIRS"
