#!/usr/bin/env bash
# What tests/debian/quickstart.sh runs in the empty Debian: `prepare` with a network, `quickstart` without one.
set -euo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
export DEBIAN_FRONTEND=noninteractive
name=chat.example.org

prepare() {
    apt-get -qq update
    apt-get -qq -y --no-install-recommends install pebble iproute2 >/dev/null 2>&1 # of the test, not of the server
    echo "== the first two commands of the documentation"
    SECONDS=0
    apt-get -qq -y --no-install-recommends install python3-venv >/dev/null 2>&1
    python3 -m venv /opt/twotick
    echo "$SECONDS s"
}

authority() {
    ip link set lo up
    echo "127.0.0.1 localhost $name" >/etc/hosts
    mkdir -p /pebble
    /opt/twotick/bin/twotick cert localhost --folder /pebble/tls >/dev/null
    chmod 755 /pebble/tls # as the store of what a system trusts
    cat >/pebble/config.json <<'JSON'
{"pebble": {"listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
            "certificate": "/pebble/tls/certificate.pem", "privateKey": "/pebble/tls/key.pem",
            "httpPort": 80, "tlsPort": 443}}
JSON
    pebble -strict -config /pebble/config.json >/pebble/log 2>&1 &
    export SSL_CERT_FILE=/pebble/tls/certificate.pem
    until python3 -c 'import socket; socket.create_connection(("127.0.0.1", 14000))' 2>/dev/null; do sleep 0.1; done
}

# The files of the installation, without what a database changes while it is read.
files() {
    find /etc /var/lib/twotick /usr/local -type f ! -name 'twotick.db*' ! -name turn -print0 | sort -z | xargs -0 sha256sum
}

as_twotick() {
    setpriv --reuid=twotick --regid=twotick --init-groups "$@"
}

quickstart() {
    mount -t proc proc /proc # of this process's own namespace
    echo "== the last two commands"
    SECONDS=0
    /opt/twotick/bin/pip install -qq --no-index --find-links /wheels 'twotick[acme]'
    authority
    command=(/opt/twotick/bin/twotick quickstart "$name" --member alice --acme-server https://localhost:14000/dir --yes)
    echo 'correct horse' | "${command[@]}"
    echo "$SECONDS s"

    echo "== the same again"
    before=$(files)
    "${command[@]}" </dev/null >/tmp/again
    if [ "$(files)" != "$before" ]; then
        echo "the second run changed something:" >&2
        diff <(echo "$before") <(files) >&2
        exit 1
    fi
    grep -q '^members      1, so none is added$' /tmp/again
    grep -q '^certificate  /var/lib/twotick/tls/certificate.pem is there$' /tmp/again

    echo "== the server, by the command that was printed"
    start=$(sed -n '/^service .* the command is$/{n;s/^ *//;p}' /tmp/again)
    $start >/tmp/server 2>&1 &
    until grep -q '^web page: https' /tmp/server; do
        kill -0 $! || { cat /tmp/server >&2; exit 1; }
        sleep 0.1
    done
    as_twotick twotick status --config /etc/twotick.toml || [ $? = 65 ] # it has no backup yet
    twotick doctor --config /etc/twotick.toml
    python3 - "$name" <<'PYTHON'
import ssl, socket, sys, urllib.request

unchecked = ssl.create_default_context(cafile="/pebble/tls/certificate.pem")
root = urllib.request.urlopen("https://localhost:15000/roots/0", context=unchecked).read().decode()
trusting = ssl.create_default_context(cadata=root)
for port in 18443, 18444:
    with socket.create_connection((sys.argv[1], port)) as plain:
        trusting.wrap_socket(plain, server_hostname=sys.argv[1]).close()
print("programs and browsers trust the certificate")
PYTHON
    test "$(stat -c '%U %a' /var/lib/twotick)" = 'twotick 700'

    echo "== a renewal, as the timer does it"
    rm /var/lib/twotick/tls/certificate.pem
    as_twotick --inh-caps=+net_bind_service --ambient-caps=+net_bind_service \
        twotick cert --renew --config /etc/twotick.toml
    until grep -q 'the certificate was replaced' /tmp/server; do sleep 0.1; done
    echo "the server uses it"
}

"$1"
