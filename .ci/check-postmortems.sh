#!/usr/bin/env bash
# What the CI jobs in README.md run, line by line, in the repository that holds the incidents; our own tests run this file.
# INCIDENT_KIT is where the kit's repository is installed from.
set -euo pipefail
python -m venv .incident-kit
.incident-kit/bin/pip install --quiet "git+$INCIDENT_KIT"
.incident-kit/bin/incident-kit check incidents -o postmortems
