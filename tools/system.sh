#!/bin/sh
# Lists the system packages that tests use, and installs what is missing where that is allowed:
# as root, where apt-get exists, and not under SYSTEM=no. With CI=true what stays missing is an error.
set -eu

# package, the commands or libraries that prove it is there (any of them), what it is for
packages='chromium chromium,chromium-browser,google-chrome the report and the control room, seen in a real browser'
packages="$packages
libpangoft2-1.0-0 libpangoft2-1.0.so.0 statements as PDF, by WeasyPrint
slurm-wlm slurmctld a real cluster, started by the tests in a folder
slurmrestd slurmrestd the cluster reached over HTTP
munge munged what the daemons of a cluster know each other by
postgresql pg_ctlcluster the state of the service in PostgreSQL
mosquitto mosquitto setpoints and frequency over MQTT, through a real broker
faketime faketime a system clock that is set under a running process
iproute2 ip hosts of their own, whose network can be cut
prometheus prometheus meters read through a real server
systemd systemd-analyze the units of the service, checked"

present() {
  for command in $(echo "$1" | tr ',' ' '); do
    case "$command" in
      *.so.*) if PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null | grep -q "$command"; then return 0; fi ;;
      *) if command -v "$command" >/dev/null 2>&1; then return 0; fi ;;
    esac
  done
  return 1
}

list_missing() {
  echo "$packages" | while read -r package commands purpose; do
    present "$commands" || echo "$package"
  done
}

echo "$packages" | while read -r package commands purpose; do
  if present "$commands"; then state=present; else state=missing; fi
  printf 'system: %-17s %-8s %s\n' "$package" "$state" "$purpose"
done

missing=$(list_missing)
if [ -z "$missing" ]; then exit 0; fi

# shellcheck disable=SC2086  # a list of words is meant
if [ "${SYSTEM:-yes}" = no ]; then
  echo "system: SYSTEM=no, so nothing is installed"
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "system: installing" $missing
  log=$(mktemp)
  if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
    --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
  fi
  rm -f "$log"
else
  echo "system: to install what is missing: sudo apt-get install" $missing "(or your system's like)"
fi

missing=$(list_missing)
if [ -z "$missing" ]; then exit 0; fi
if [ "${CI:-}" = true ]; then
  echo "system: missing, which is an error under CI=true:" $missing >&2
  exit 1
fi
echo "system: tests that need" $missing "will be skipped, and say so"
