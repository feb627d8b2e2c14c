#!/bin/sh
# Publishes $COMMIT, by rename, so that readers never see half of a site.
set -eu
echo "$COMMIT" >> "$WORLD/begun"
while test -e "$WORLD/hold-$COMMIT"; do sleep 0.05; done
echo "$COMMIT" > "$WORLD/site.draft"
mv "$WORLD/site.draft" "$WORLD/site"
