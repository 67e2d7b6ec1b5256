#!/bin/sh
# Runs a bundled factory on real jobs, Dutch prices and weather, read from the folder GIGAFACTORY_DATA.
set -eu
cd "$(dirname "$0")/.."

data=${GIGAFACTORY_DATA:-}
if [ -z "$data" ]; then
  echo "run-real: GIGAFACTORY_DATA is not set. It names the folder that holds the real traces and prices," >&2
  echo "run-real: for example: make run-real GIGAFACTORY_DATA=\$HOME/gigafactory-data" >&2
  echo "run-real: docs/how-to/real-data.md says what belongs in it and where each file comes from." >&2
  exit 2
fi
jobs=$data/compute/philly_jobs.parquet
# The weather and the carbon of the same folder are found beside the prices.
prices=$data/grid/nl_dayahead_hourly_2019_2025.csv.gz
for needed in "$jobs" "$prices"; do
  if [ ! -e "$needed" ]; then
    echo "run-real: GIGAFACTORY_DATA is $data, but $needed does not exist there." >&2
    echo "run-real: docs/how-to/real-data.md says what belongs in it and where each file comes from." >&2
    exit 2
  fi
done
exec .venv/bin/gigafactory run "${FACTORY:-rotterdam}" --start 2024-01-01 \
  --jobs "$jobs" --scale-to-fleet --prices "$prices" "$@"
