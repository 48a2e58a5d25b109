# What a person types: make dev (build and start), make test, make check (what CI runs), make bench.
# Everything that these need beyond Go, Node.js and make is installed by them, below node_modules/ and bin/, or said.

GO ?= go
GOLANGCI := bin/golangci-lint
GOLANGCI_VERSION := v2.15.0
GOVULNCHECK := bin/govulncheck
GOVULNCHECK_VERSION := v1.9.0
# The reports that govulncheck compares with; raise it to know of newer ones.
VULNDB_VERSION := v0.0.0-20261105234957-e22db6528018
VENDORED := static/vendor/htmx.min.js

.PHONY: dev build generate test check bench lint vuln fuzz fmt drift clean help

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

dev: build ## build, and start the console with the embedded agent
	bin/cotrain server --dev

build: $(VENDORED) generate ## build bin/cotrain
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/cotrain ./cmd/cotrain

# The browser's packages, from npm, copied to where the binary embeds them from.
$(VENDORED): package.json package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund
	npm run --silent vendor
	@touch $@

generate: ## views/*_templ.go from views/*.templ, docs/configuration.md and docs/settings.md from their tables, the table of rights in docs/security.md, the causes and errors in docs/troubleshooting.md; fails for an error that the catalogue does not have
	$(GO) tool templ generate -path views -log-level error
	$(GO) run ./internal/trainconf/gendoc > docs/configuration.md
	$(GO) run ./internal/config/gendoc > docs/settings.md
	$(GO) run ./internal/access/gendoc docs/security.md
	$(GO) run ./internal/diagnose/gendoc docs/troubleshooting.md
	$(GO) run ./internal/fault/gendoc . docs/troubleshooting.md

# Tests see for themselves when nothing moves any more; go's own limit is for what they miss.
test: build ## all tests that this machine can run; says what it skipped and why
	$(GO) tool gotestsum --format pkgname-and-test-fails --format-hide-empty-pkg --format-icons text -- -timeout=30m ./...

check: drift lint vuln fuzz test ## generated code, format, vet, lint, import rules, known weaknesses, a minute of fuzzing, tests

drift: $(VENDORED) generate ## generated code and formats are as committed
	@test -z "$$(gofmt -l cmd internal views static jobs terraform)" || { gofmt -l cmd internal views static jobs terraform; echo "not gofmt-ed: run make fmt"; exit 1; }
	@git diff --exit-code --stat -- '*_templ.go' docs/configuration.md docs/settings.md docs/security.md docs/troubleshooting.md || { echo "generated code differs from its source: commit what make generate wrote"; exit 1; }
	@$(GO) mod tidy -diff >/dev/null || { echo "go.mod is not tidy: run go mod tidy"; exit 1; }
	@! grep -q '"resolved"' package-lock.json || { echo "package-lock.json holds download addresses: npm config set omit-lockfile-registry-resolved true"; exit 1; }

lint: $(VENDORED) $(GOLANGCI) ## go vet and golangci-lint
	$(GO) vet ./...
	$(GOLANGCI) run ./...

$(GOLANGCI):
	GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

vuln: $(GOVULNCHECK) ## known weaknesses that the program can reach, as of the pinned reports; fails for those of modules, tells of Go's own
	$(GO) run ./internal/vulndb build "$$($(GO) mod download -json golang.org/x/vulndb@$(VULNDB_VERSION) | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/data/osv" bin/vulndb
	$(GOVULNCHECK) -db file://$(CURDIR)/bin/vulndb -format json ./... > bin/vulns.json
	$(GO) run ./internal/vulndb judge bin/vulns.json

$(GOVULNCHECK):
	GOBIN=$(CURDIR)/bin $(GO) install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)

# Counts of inputs, not times: at the end of a time the go command sometimes fails with "context deadline exceeded".
fuzz: $(VENDORED) ## the import of configurations, diagnosis, and what decodes stored points, checkpoints and passkeys, with inputs of its own: two minutes
	$(GO) test -run '^$$' -fuzz FuzzImport -fuzztime 150000x -fuzzminimizetime 100x ./internal/trainconf
	$(GO) test -run '^$$' -fuzz FuzzDecodeChunk -fuzztime 50000x -fuzzminimizetime 100x ./internal/series
	$(GO) test -run '^$$' -fuzz FuzzAppendCurve -fuzztime 50000x -fuzzminimizetime 100x ./internal/series
	$(GO) test -run '^$$' -fuzz FuzzParse -fuzztime 50000x -fuzzminimizetime 100x ./internal/dcp
	$(GO) test -run '^$$' -fuzz FuzzScan -fuzztime 10000x -fuzzminimizetime 100x ./internal/diagnose
	$(GO) test -run '^$$' -fuzz FuzzAnswers -fuzztime 50000x -fuzzminimizetime 100x ./internal/auth/passkey

fmt: ## format Go and templ
	gofmt -w cmd internal views static jobs terraform
	$(GO) tool templ fmt views

bench: build ## every benchmark, each beside its baseline
	$(GO) test -run '^$$' -bench . -benchtime 1x ./internal/bench
	$(GO) test -run '^$$' -bench . -benchtime 1x ./internal/feed
	$(GO) test -run '^$$' -bench AgainstRegexp ./internal/logparse
	$(GO) test -run '^$$' -bench FullConfiguration ./internal/trainconf

clean: ## what make made; runs and their data in .cotrain stay
	rm -rf bin node_modules static/vendor/*.js static/vendor/*.css
