# The few commands of everyday work. `make` alone explains them.

.DEFAULT_GOAL := help
.PHONY: help build demo test golden lint packages ci

# How the program is built, here, in .ci/run, in the Dockerfile and for packages. The same commit gives the same bytes
# on every machine: no paths of this one, no C library, and a version that Go takes from the commit or its tag. Where
# git cannot be asked, as in an archive, there is no version.
OUT := bin/dirsync
VCS := $(shell git rev-parse --verify -q HEAD >/dev/null 2>&1 && echo true || echo false)
BUILD := CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=$(VCS) -ldflags='-s -w'
# What makes packages runs here, whatever the packages are for.
HERE := env -u GOOS -u GOARCH -u DIRSYNC_CONFIG
RELEASE := cd tools/release && $(HERE) go run -mod=readonly

help: ## Explain the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build bin/dirsync, static and ready to be copied anywhere
	$(BUILD) -o $(OUT) ./cmd/dirsync

demo: build ## Watch it at work on a simulated tenant; needs nothing
	bin/dirsync demo

test: ## Run all tests
	go test ./...

golden: ## Rewrite the golden files of the command after a change that is meant
	go test ./cmd/dirsync -update

lint: ## Run the linter (built from tools/ the first time)
	.ci/run format lint

packages: build ## Make dist/: deb, rpm, container image, bill of materials; GOARCH=arm64 for that processor
	rm -rf bin/generated && mkdir -p dist
	$(HERE) $(BUILD) -o bin/dirsync-here ./cmd/dirsync
	$(HERE) bin/dirsync-here generate man bin/generated/man
	$(HERE) bin/dirsync-here generate completion bin/generated/completion
	$(RELEASE) ./sbom -program $(abspath $(OUT)) -o $(abspath dist)/dirsync.cdx.json
	$(RELEASE) ./package -root ../.. -program $(abspath $(OUT)) -generated $(abspath bin/generated) -bill $(abspath dist)/dirsync.cdx.json -o $(abspath dist)
	$(RELEASE) ./image -program $(abspath $(OUT)) -o $(abspath dist)/dirsync-image.tar

ci: ## Run everything that must hold before a change is accepted
	.ci/run
