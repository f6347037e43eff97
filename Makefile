# Everything that is done to this repository, by name. Needs Go, git, make, bash
# and a C compiler (for the race detector); the tools are pinned in tools/ and
# are built by the go command.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BUF := go tool -modfile=tools/go.mod buf
LINT := go tool -modfile=tools/lint/go.mod golangci-lint
# Runs a command with real servers; built, since `go run` would keep signals and
# exit codes to itself.
SERVICES = go build -o bin/services ./test/services/run && bin/services

TEST_TIMEOUT ?= 25m
FUZZ_TIME ?= 10s

.PHONY: help
help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z][a-z-]*:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/kith
	go build -trimpath -o bin/kith ./cmd/kith

.PHONY: generate
generate: ## generate Go from proto/
	$(BUF) generate

.PHONY: fmt
fmt: ## format Go and protobuf
	$(LINT) fmt
	$(BUF) format -w --path proto/kith

.PHONY: lint
lint: ## lint Go and protobuf, architecture rules included
	$(LINT) run
	$(BUF) lint

.PHONY: test
test: ## run all tests with the race detector, on real servers where they are installed
	$(SERVICES) $(WITH) -- go test -race -timeout $(TEST_TIMEOUT) ./...

.PHONY: services
services: ## run Postgres, Redis and OpenSearch for single tests until ctrl-C, installing what is missing
	$(SERVICES) -install

.PHONY: current
current: generate ## fail when generated code is not what its sources say
	git diff --exit-code -- '*.pb.go'
	@new=$$(git ls-files --others --exclude-standard -- '*.pb.go'); \
	if [ -n "$$new" ]; then printf 'generated, but not in git:\n%s\n' "$$new" >&2; exit 1; fi

.PHONY: verify
verify: ## what CI runs: generated code is current, lint is clean, all tests pass, none left out
	$(MAKE) current
	$(MAKE) lint
	$(MAKE) test WITH='-install -require'

.PHONY: bench
bench: ## measure against the baseline and print a summary (BENCH="-only lookup -out FILE")
	go run ./test/load -summary $(BENCH)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZ_TIME
	@go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}}{{end}}' ./... | while read -r pkg dir; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$dir"/*_test.go); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ_TIME) "$$pkg"; \
		done; \
	done

.PHONY: api-fuzz
api-fuzz: ## hold a running kith to its OpenAPI for a minute with schemathesis (needs Python and PyPI)
	test/apifuzz/schemathesis.sh
