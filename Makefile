# AIOS: every command a person needs. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

CARGO ?= cargo
CLUSTER = $(CARGO) run --quiet --bin cluster --

# Suites are chosen by name, never by package: with every command over the whole workspace, each dependency has one set
# of features and is built once.
UNITS = --lib --bins $(addprefix --test ,$(sort $(basename $(notdir $(filter-out e2e/%,$(wildcard */tests/*.rs) \
  $(wildcard examples/*/*/tests/*.rs)))) $(notdir $(patsubst %/main.rs,%,$(wildcard */tests/*/main.rs)))))
SUITES = $(patsubst e2e/tests/%.rs,--test %,$(wildcard e2e/tests/*.rs))

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sort | awk 'BEGIN {FS = ":.*## "} {printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: setup
setup: ## Install what the other commands need (idempotent)
	@./e2e/setup.sh

.PHONY: build
build: setup ## Build every binary
	$(CARGO) build --workspace --bins

.PHONY: test
test: setup ## Run every test: units, then end to end on a real cluster
	$(CARGO) build --workspace --all-targets
	$(CARGO) test --workspace $(UNITS)
	$(CLUSTER) up --name aios-test
	status=0; AIOS_CLUSTER_NAME=aios-test $(CARGO) test --workspace --no-fail-fast $(SUITES) -- --test-threads 3 || status=$$?; \
	  $(CLUSTER) down --name aios-test; exit $$status

.PHONY: unit
unit: setup ## Run the tests that need no cluster
	$(CARGO) test --workspace $(UNITS)

BENCH ?= operator
MEASURED_sidecar = -p aios-inference-sidecar -p aios-simulator
MEASURED_trials = -p aios-inference-sidecar

.PHONY: bench
bench: setup ## Measure beside named peers: BENCH=operator, failover, sidecar, trials or policy; FULL=1 for the full sizes
	$(CARGO) build --release $(MEASURED_$(BENCH)) -p aios-bench
	$(if $(filter operator,$(BENCH)),$(CARGO) build --profile small -p aios-operator)
	./target/release/bench $(BENCH) $(if $(FULL),--full)
	$(if $(filter sidecar,$(BENCH)),./target/release/bench trials $(if $(FULL),--full))

FUZZED = $(wildcard policy/fuzz/corpus/* inference-sidecar/fuzz/corpus/*)
FUZZ_SECONDS ?= 3

.PHONY: fuzz
fuzz: ## Fuzz checks of policy and what the sidecar reads, FUZZ_SECONDS=3 each; needs x86-64 and a C++ compiler, and fetches libFuzzer's crate
	@command -v c++ >/dev/null || { echo "fuzz: libFuzzer is built from C++: install g++" >&2; exit 1; }
	cd policy/fuzz && $(CARGO) build --release --bins
	cd inference-sidecar/fuzz && $(CARGO) build --release --bins
	@for corpus in $(FUZZED); do room=$${corpus%/corpus/*} target=$${corpus##*/}; echo "fuzz: $$room $$target"; \
	  mkdir -p $$room/target/found/$$target $$room/artifacts/$$target && \
	  ./$$room/target/x86_64-unknown-linux-gnu/release/$$target -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
	    -artifact_prefix=$$room/artifacts/$$target/ $$room/target/found/$$target $$corpus \
	    2>&1 | grep -E '^==|ERROR|SUMMARY|panicked|Test unit|number_of_executed_units' ; \
	  test $${PIPESTATUS[0]} = 0 || exit 1; done

.PHONY: lint
lint: ## Formatting, lints, licences and duplicates
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then $(CARGO) fetch --locked && $(CARGO) deny --offline check bans licenses sources; else echo "cargo-deny is not installed: cargo install cargo-deny"; fi

.PHONY: generate
generate: ## Write the generated files again (CRDs, condition tables)
	$(CARGO) run --quiet --bin crdgen -- charts/aios-crds/templates docs

.PHONY: demo
demo: setup ## The main job: 300 e-mails on a real cluster, proved afterwards
	$(CARGO) run --quiet --bin demo

.PHONY: demo-down
demo-down: cluster-down ## Take the demo and its cluster down

.PHONY: cluster-up
cluster-up: setup ## Start a single-node Kubernetes with AIOS's images
	$(CLUSTER) up

.PHONY: cluster-down
cluster-down: ## Stop it; nothing is left behind
	$(CLUSTER) down
