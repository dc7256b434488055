#!/usr/bin/env bash
# Runs a command with a PostgreSQL of its own, which is thrown away afterwards:
#
#     tests/postgres.sh cargo test --test store_postgres
#
# The command finds it by AI_PROXY_TEST_POSTGRES, the URL of its superuser.
set -euo pipefail

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# The folder of initdb and pg_ctl: Debian keeps it out of PATH, newest version last.
find_bin() {
    local found
    found=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1) || true
    [ -n "$found" ] || found=$(command -v initdb) || return 1
    dirname "$(readlink -f "$found")"
}

if ! bin=$(find_bin); then
    echo "postgres.sh: installing Debian's postgresql" >&2
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends postgresql >&2
    bin=$(find_bin)
fi

# PostgreSQL refuses to run as root.
if [ "$(id -u)" -eq 0 ]; then as_server() { runuser -u postgres -- "$@"; }; else as_server() { "$@"; }; fi

home=$(mktemp -d)
stop() {
    as_server "$bin/pg_ctl" --pgdata "$home/data" --mode immediate --silent stop >/dev/null 2>&1 || true
    rm -rf "$home"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ "$(id -u)" -eq 0 ]; then chown postgres "$home"; fi
cd "$home"
as_server "$bin/initdb" --pgdata "$home/data" --auth trust --username postgres --encoding UTF8 \
    --locale C --no-sync >"$home/initdb.log" 2>&1 || { cat "$home/initdb.log" >&2; exit 1; }
cd "$OLDPWD"

# Durable beyond a crash of the server, as the tests need; not beyond one of the machine.
settings="-c max_connections=300 -c fsync=off -c full_page_writes=off -c listen_addresses=127.0.0.1 -c unix_socket_directories=$home"

started=
for _ in $(seq 20); do
    port=$((20000 + RANDOM % 12000))
    if (cd / && as_server "$bin/pg_ctl" --pgdata "$home/data" --log "$home/data/server.log" --wait \
        --options "-p $port $settings" start >/dev/null 2>&1); then
        started=yes
        break
    fi
done
if [ -z "$started" ]; then
    echo "postgres.sh: PostgreSQL does not start:" >&2
    cat "$home/data/server.log" >&2
    exit 1
fi

export AI_PROXY_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres"
"$@"
