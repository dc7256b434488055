# Everything a developer runs. Each target installs what it needs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: run check test test-rust interleavings test-clients test-browser inspector contract screenshots soak bench arrivals endure budget fuzz lint

CLIENTS  := tests/clients
BROWSER  := tests/browser
CONTRACT := tests/contract
VENVS    := target/clients
SUITES   := cli docs portal store
POSTGRES := it_postgres portal_postgres store_postgres
PACKAGES := fastmcp2 fastmcp3 fastmcp4 runner
PYTHON   ?= python3
PROXY    := target/debug/ai-proxy
ENTRA    := target/debug/examples/entra
GITHUB   := target/debug/examples/github
FUZZ_SECONDS ?= 60

run: ## the demo: a proxy, an MCP server behind it and the commands to paste
	cargo run --release -- demo

check: .system/cc ## the fast tier, without PostgreSQL: format, lints, unit tests and the suite `it`
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo test --locked --lib --test it

test: test-rust interleavings test-clients test-browser ## everything that can fail

# The suite `it` is part of `it_postgres`.
test-rust: .system/cc ## the Rust tests, the store's and the portal's on SQLite and on PostgreSQL
	tests/postgres.sh cargo test --locked --lib --bins --examples $(SUITES:%=--test %) $(POSTGRES:%=--test %)

# With its atomics a proxy serves nobody, so the one that was built for it is replaced at once.
interleavings: .system/cc ## every order in which threads may meet in what calls share
	cargo test --locked --features interleavings --test interleavings
	cargo build --locked

# PYTEST takes further arguments: make test-clients PYTEST='-k progress --direct'
test-clients: clients $(PROXY) ## real MCP clients and servers through the real binary
	$(VENVS)/runner/bin/pytest $(CLIENTS) $(PYTEST)

test-browser: clients $(VENVS)/browser/.installed $(BROWSER)/axe/node_modules/.installed $(PROXY) $(ENTRA) $(GITHUB) .system/chromium .system/faketime ## the portal in Chromium
	$(VENVS)/browser/bin/pytest $(BROWSER) $(PYTEST)

# Apart from `test` because of its size: 330 MB, with a newer Node.js than the other tests need.
inspector: $(VENVS)/fastmcp4/.installed $(VENVS)/browser/.installed $(BROWSER)/inspector/node_modules/.installed $(PROXY) .system/chromium ## MCP's Inspector and its conformance suite sign in
	$(VENVS)/browser/bin/pytest $(BROWSER)/inspector $(PYTEST)

contract: $(VENVS)/contract/.installed $(VENVS)/fastmcp4/.installed $(PROXY) ## the JSON API against its own description, with requests that schemathesis makes up
	$(VENVS)/contract/bin/pytest $(CONTRACT) $(PYTEST)

screenshots: export AI_PROXY_SCREENSHOTS = 1
screenshots: PYTEST = -k tour
screenshots: test-browser ## docs/img, from the portal in Chromium

soak: clients .system/cc ## 50 workers, 200 rounds of three calls each, through a release build
	cargo build --release --locked
	AI_PROXY_BINARY=target/release/ai-proxy AI_PROXY_SOAK_ROUNDS=200 $(VENVS)/runner/bin/pytest $(CLIENTS) -k soak $(PYTEST)

# ROUNDS and SECONDS (of each measurement) shorten it: make bench ROUNDS=1 SECONDS=2
ROUNDS  ?= 5
SECONDS ?= 5

bench: .system/cc .system/nginx .system/wrk ## next to nginx and to no proxy, as docs/performance.md says
	cargo build --release --locked --bin ai-proxy --example load
	benches/run --rounds $(ROUNDS) --seconds $(SECONDS)

arrivals: .system/cc ## a room that fills up: 300 people open their cards within a minute while 200 call
	cargo build --release --locked --bin ai-proxy --example load
	benches/arrivals

# MINUTES shortens it: make endure MINUTES=2
MINUTES ?= 20

endure: .system/cc ## long: streams, sessions, a backend that comes and goes, a catalog that changes
	cargo build --release --locked --bin ai-proxy --example load
	benches/soak --minutes $(MINUTES)

budget: .system/gungraun-runner ## instructions of one call, next to what they may be
	benches/budget

# The parsers hold no unsafe code, so no sanitizer, which would take a nightly compiler.
fuzz: fuzz/Cargo.lock .system/cc .system/cargo-fuzz ## what parses hostile input, a minute each
	cargo fuzz build --sanitizer none
	for target in $$(cargo fuzz list); do \
	    cargo fuzz run --sanitizer none $$target -- \
	        -dict=fuzz/dictionaries/$$target -max_len=4096 -max_total_time=$(FUZZ_SECONDS) -verbosity=0; \
	done

lint: fuzz/Cargo.lock .system/cc .system/cargo-deny ## format, lints, and what may enter the binary
	cargo fmt --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --features interleavings --test interleavings $(POSTGRES:%=--test %) -- -D warnings
	cargo clippy --manifest-path fuzz/Cargo.toml --target-dir target -- -D warnings
	cargo deny --locked check bans licenses sources

# --- what the targets above need ---------------------------------------------

.PHONY: clients FORCE .system/nginx .system/wrk .system/gungraun-runner .system/cc .system/curl .system/python .system/node .system/chromium .system/faketime .system/cargo-deny .system/cargo-fuzz

$(PROXY): FORCE | .system/cc
	cargo build --locked

# The identity providers that people sign in with in the tests.
$(ENTRA): FORCE | .system/cc
	cargo build --locked --example entra

$(GITHUB): FORCE | .system/cc
	cargo build --locked --example github

# One virtual environment for each generation of clients: they pin one another's libraries.
clients: $(PACKAGES:%=$(VENVS)/%/.installed) $(CLIENTS)/typescript/node_modules/.installed | .system/curl

$(VENVS)/%/.installed: $(CLIENTS)/requirements/%.txt | .system/python
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

%/node_modules/.installed: %/package-lock.json | .system/node
	npm ci --prefix $* --no-fund --no-audit --loglevel=error
	touch $@

# Fuzzed are the versions that are shipped; cargo adds what only fuzzing needs.
fuzz/Cargo.lock: Cargo.lock
	cp $< $@

# $(call debian,PACKAGES): as root, else by sudo
debian = { $(sudo) apt-get update -qq && $(sudo) env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends $1; }
sudo   = $(if $(filter 0,$(shell id -u)),,sudo)

.system/cc:
	command -v cc >/dev/null || $(call debian,build-essential)

.system/curl:
	command -v curl >/dev/null || $(call debian,curl)

# The program alone, not the server that Debian starts when it is installed.
.system/nginx:
	PATH=$$PATH:/usr/sbin command -v nginx >/dev/null || { $(call debian,nginx); $(sudo) service nginx stop; $(sudo) update-rc.d nginx disable; }

.system/wrk:
	command -v wrk >/dev/null || $(call debian,wrk)

# The runner must be of the crate's version.
.system/gungraun-runner: gungraun = $(shell sed -n 's/^gungraun = "\(.*\)"/\1/p' Cargo.toml)
.system/gungraun-runner: .system/cc
	command -v valgrind >/dev/null || $(call debian,valgrind libc6-dbg)
	gungraun-runner --version 2>/dev/null | grep -qwF $(gungraun) || cargo install --locked --version $(gungraun) gungraun-runner

.system/python:
	$(PYTHON) -c 'import ensurepip, venv' || $(call debian,python3 python3-venv)
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, not " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'

.system/node:
	command -v npm >/dev/null || $(call debian,nodejs npm)
	node -e 'if (parseInt(process.versions.node) < 20) { console.error("Node.js 20 or newer is needed, not " + process.version); process.exit(1) }'

.system/chromium:
	command -v chromium >/dev/null || $(call debian,chromium)

.system/faketime:
	command -v faketime >/dev/null || $(call debian,faketime)

.system/cargo-fuzz:
	command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz

.system/cargo-deny:
	command -v cargo-deny >/dev/null || cargo install --locked cargo-deny

FORCE:
