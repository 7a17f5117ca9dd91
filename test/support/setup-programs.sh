#!/bin/bash
# Installs what some tests need from Debian's packages: Chromium, RabbitMQ, ActiveMQ, Redis, NATS, nginx, HAProxy, mosquitto's clients and stomp.py. Nothing is started.
set -euo pipefail
packages=(chromium rabbitmq-server activemq python3-stomp redis-server nats-server nginx-light haproxy mosquitto-clients)

missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "Installed already: ${packages[*]}"
  exit 0
fi

sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo)
log=$(mktemp)
quietly() {
  "$@" >"$log" 2>&1 || { tail -n 30 "$log" >&2; echo "Failed: $*" >&2; exit 1; }
}

# Packages that are services must not start one: the tests run their own, in private directories.
if [ ! -e /usr/sbin/policy-rc.d ]; then
  printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee /usr/sbin/policy-rc.d >/dev/null
  "${sudo[@]}" chmod +x /usr/sbin/policy-rc.d
  trap '"${sudo[@]}" rm -f /usr/sbin/policy-rc.d "$log"' EXIT
fi
echo "Installing: ${missing[*]}"
quietly "${sudo[@]}" apt-get update
quietly "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"
echo "Installed: ${missing[*]}"
