#!/bin/sh
# Removes $WORLD/pr-$NUMBER. The branch is only ever a quoted variable and one word of another program's arguments.
set -eu
rm -rf -- "$WORLD/pr-$NUMBER"
env printf '%s' "$BRANCH"
