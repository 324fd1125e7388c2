# Everything here needs Go 1.26, make and git; "race" also a C compiler, as Go's
# race detector does. Linters and generators are pinned in tools/ and run by go.
GO ?= go

# Where "make run" puts its members' data, and how many members it starts.
DEV_DIR ?= ./.dev
NODES ?= 3
BASE_PORT ?= 7600

# What "make bench" runs, and for how long each.
BENCH ?= .
BENCHTIME ?= 1s
PKG ?= ./...

# What "make jepsen" runs (go run ./jepsen list), for how long, and the seed that
# decides it; 0 draws one. For how many hours "make soak" goes on.
WORKLOAD ?= set
NEMESIS ?= partition-halves,kill
TIME ?= 60s
SEED ?= 0
HOURS ?= 1

# How many runs "make sim" simulates, from SEED on.
RUNS ?= 1000

LINT := $(GO) tool -modfile=tools/lint/go.mod
BUF := $(GO) tool -modfile=tools/generate/go.mod buf

# The folders that .proto files are named relative to (see buf.yaml).
PROTO_ROOTS := $(wildcard api internal/peer)

# No goroutine runs in these (internal/imports holds the first eight to it), or it
# only watches other processes: the race detector would find nothing in them.
MODULE := github.com/ringd/ringd
RACE_FREE := $(addprefix $(MODULE)/,ring causal replica vnode quorum handoff internal/model internal/model/moves internal/sim internal/imports jepsen)

.DEFAULT_GOAL := help
.PHONY: help run build test race lint generate bench sim jepsen soak

help: ## show this text
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## a cluster on this machine until Ctrl-C (NODES, DEV_DIR, BASE_PORT)
	./bin/ringd dev --nodes $(NODES) --dir $(DEV_DIR) --base-port $(BASE_PORT)

build: ## bin/ringd and bin/ringctl
	$(GO) build -o bin/ ./cmd/ringd ./cmd/ringctl

# Tests of real processes mostly wait for them: more run at once than there are cores.
test: ## all tests
	$(GO) test -parallel 6 ./...

race: ## the tests of the packages with goroutines, under the race detector
	@packages=$$($(GO) list ./...) || exit 1; \
	packages=$$(printf '%s\n' $$packages | grep -vxF $(addprefix -e ,$(RACE_FREE))); \
	echo "go test -race -short" $$packages; \
	CGO_ENABLED=1 $(GO) test -race -short $$packages

lint: ## gofumpt, go vet, staticcheck, go.mod tidy and unchanged modules
	@echo "gofumpt -l ."; files=$$($(LINT) gofumpt -l .) || exit 1; \
	if [ -n "$$files" ]; then echo "not formatted (gofumpt -w FILE does it):"; echo "$$files"; exit 1; fi
	$(GO) vet ./...
	$(LINT) staticcheck ./...
	$(GO) mod tidy -diff
	$(GO) mod verify

generate: ## generated code again from the .proto files (the first time takes minutes)
	@for root in $(PROTO_ROOTS); do \
		echo "buf generate $$root"; \
		$(BUF) generate $$root -o $$root || exit 1; \
	done

bench: ## benchmarks (BENCH=regexp, PKG=packages, BENCHTIME)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem $(PKG)

sim: ## simulated runs of the step machines, each decided by its seed (RUNS, SEED)
	$(GO) test ./internal/sim -run '^TestRuns$$' -count=1 -timeout 0 -v -sim.runs $(RUNS) -sim.seed $(SEED) -sim.workers 2

jepsen: ## one run under faults (WORKLOAD, NEMESIS, TIME, SEED); root has members on hosts of their own
	$(GO) run ./jepsen run --workload $(WORKLOAD) --nemesis $(NEMESIS) --time $(TIME) --seed $(SEED)

soak: ## runs under faults with fresh seeds, until one is no pass (HOURS)
	$(GO) run ./jepsen soak --hours $(HOURS)
