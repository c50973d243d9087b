#!/bin/sh
# Runs while the image is built, as root: the folder for the pairs, owned by whom the service runs
# as, so that a volume mounted there is writable for it. Nothing else is.
set -eu
install -d -o bentoml -g bentoml -m 0750 /pairs
