#!/usr/bin/env bash
# What the CI jobs in README.md run, line by line, in the repository that holds the incidents; our own tests run this file.
# INCIDENT_KIT is where the kit's repository is cloned from.
set -euo pipefail
git clone --quiet --depth 1 "$INCIDENT_KIT" .incident-kit
make -C .incident-kit install
.incident-kit/.venv/bin/python -m kit check incidents -o postmortems
