#!/usr/bin/env bash
# Runs in the new environment, from the project's folder.
set -euo pipefail
pip install --requirement requirements.lock
pip install --no-deps --editable .
