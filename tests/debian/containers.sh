#!/usr/bin/env bash
# Build the image, start both compose files, and use what they start, as docs/operations.md and docs/cluster.md say.
# Run it as root, by `make containers`. It needs podman, the index of Python packages, and the registry of images. Without the registry,
# it makes images of the same names from Debian's packages, which needs debootstrap.
#   BUILD="--isolation=chroot --network=host"   options for `podman build`, for example in a container
set -euo pipefail
cd "$(dirname "$0")/../.."

mirror=${MIRROR:-http://deb.debian.org/debian}
python=docker.io/library/python:3.13-slim
nats=docker.io/library/nats:2
postgres=docker.io/library/postgres:17
read -ra options <<<"${BUILD:-} --format=docker"
folder=$(mktemp -d "${TMPDIR:-/tmp}/twotick-containers.XXXXXX")
export HOME=$folder/one PGPASSWORD=secret
twotick=$PWD/.venv/bin/twotick
cluster=deploy/cluster/compose.yml
single=deploy/container/compose.yml

if [ "$(id -u)" != 0 ]; then
    echo "run this as root: it makes root file systems" >&2
    exit 1
fi
command -v podman >/dev/null || {
    echo "there is no podman: apt-get install -y podman" >&2
    exit 1
}

compose() { # FILE ARGUMENTS...
    "$folder/tools/bin/podman-compose" --podman-build-args="${options[*]} --pull=never" --file "$@" >"$folder/compose.log" 2>&1 || {
        cat "$folder/compose.log" >&2
        exit 1
    }
}

clean_up() {
    "$folder/tools/bin/podman-compose" --file "$cluster" down --volumes >/dev/null 2>&1 || true
    "$folder/tools/bin/podman-compose" --file "$single" down --volumes >/dev/null 2>&1 || true
    rm -rf --one-file-system "$folder"
}
trap clean_up EXIT

until_true() { # WHAT COMMAND...
    for _ in $(seq 60); do
        "${@:2}" >"$folder/until.log" 2>&1 && return
        sleep 1
    done
    echo "not true after a minute: $1" >&2
    cat "$folder/until.log" >&2
    podman ps --all >&2
    exit 1
}

has() { # IMAGE
    podman image exists "$1" || podman pull -q "$1" 2>"$folder/pull.log"
}

stand_in() { # IMAGE: made of "$folder/image"
    podman build "${options[@]}" --pull=never -q -t "$1" "$folder/image"
}

mkdir "$folder/one" "$folder/three"

echo "== images"
.venv/bin/python -m venv "$folder/tools"
"$folder/tools/bin/pip" install -qq --disable-pip-version-check podman-compose
has "$python" || {
    echo "no registry: an image with Debian's Python"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$folder/root" "$mirror" \
        >"$folder/debootstrap.log" 2>&1 || {
        tail -5 "$folder/debootstrap.log" >&2
        exit 1
    }
    cp /etc/ssl/certs/ca-certificates.crt "$folder/root/etc/ssl/certs/"
    ln -s python3 "$folder/root/usr/bin/python"
    tar -C "$folder/root" -c . | podman import -q - "$python"
    rm -rf --one-file-system "$folder/root"
}
mkdir "$folder/image"
has "$nats" || {
    cat >"$folder/image/Containerfile" <<EOF
FROM $python
RUN apt-get update -q && apt-get install -y -q nats-server
ENTRYPOINT ["/usr/sbin/nats-server"]
EOF
    stand_in "$nats"
}
has "$postgres" || {
    cat >"$folder/image/start" <<'EOF'
#!/bin/sh
set -e
if ! test -s "$PGDATA/PG_VERSION"; then
    echo "$POSTGRES_PASSWORD" >/tmp/password
    initdb -U "$POSTGRES_USER" --pwfile=/tmp/password --auth-local=trust $POSTGRES_INITDB_ARGS
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    pg_ctl -w -o "-c listen_addresses=" start
    createdb -U "$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl -w stop
fi
exec "$@" -c "listen_addresses=*"
EOF
    chmod +x "$folder/image/start"
    cat >"$folder/image/Containerfile" <<EOF
FROM $python
RUN apt-get update -q && apt-get install -y -q postgresql && ln -s /usr/lib/postgresql/*/bin /opt/postgresql
ENV PATH=/opt/postgresql:/usr/bin:/bin PGDATA=/var/lib/postgresql/data
RUN install -d -o postgres \$PGDATA
COPY start /start
USER postgres
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["/start"]
EOF
    stand_in "$postgres"
}
compose "$single" build

echo "== one server"
compose "$single" run -T --rm twotick twotick cert chat.example
compose "$single" up -d
until_true "the container is healthy" podman healthcheck run container_twotick_1
podman exec container_twotick_1 sh -c '[ "$(id -u)" = 10001 ] && ! touch /new 2>/dev/null && ! touch /opt/new 2>/dev/null'
invitation=$(podman exec container_twotick_1 twotick user invite)
echo "a password of alice" | "$twotick" login alice@tls://127.0.0.1:18443 --sign-up "$invitation"
"$twotick" send alice "to my other devices" --as alice --until accepted
podman exec container_twotick_1 twotick doctor
podman stop --time 90 container_twotick_1 >/dev/null
[ "$(podman inspect --format '{{.State.ExitCode}}' container_twotick_1)" = 0 ]
podman start container_twotick_1 >/dev/null
until_true "the container is healthy again" podman healthcheck run container_twotick_1
"$twotick" history alice --as alice | grep "to my other devices"
compose "$single" down --volumes

echo "== three servers, PostgreSQL and NATS"
compose "$cluster" build
compose "$cluster" run -T --rm one twotick cert chat.example --folder /tls
compose "$cluster" run -T --rm one twotick cert nats --folder /tls/nats
compose "$cluster" up -d
for server in one two three; do
    until_true "server $server is healthy" podman healthcheck run "cluster_${server}_1"
done
export HOME=$folder/three # these servers have another certificate
all=tls://127.0.0.1:18443,tls://127.0.0.1:18453,tls://127.0.0.1:18463
for name in carol dave; do
    echo "a password of $name" | podman exec -i cluster_one_1 twotick user add "$name"
    echo "a password of $name" | "$twotick" login "$name@$all"
done
podman exec cluster_two_1 twotick status || [ $? = 65 ] # it warns that there is no standby
"$twotick" listen --as dave >"$folder/dave.txt" &
"$twotick" send dave "all are here" --as carol --until delivered --wait 30
podman kill cluster_one_1 >/dev/null
"$twotick" send dave "a server is lost" --as carol --until delivered --wait 60
podman kill cluster_nats_1 >/dev/null
"$twotick" send dave "NATS is lost" --as carol --until delivered --wait 60
kill %1
wait %1 || true
cat "$folder/dave.txt"
[ "$(grep -c '^carol: ' "$folder/dave.txt")" = 3 ]
echo "== both compose files work"
