# The few commands of everyday work. `make` alone explains them.

.DEFAULT_GOAL := help
.PHONY: help build demo test golden lint image ci

help: ## Explain the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build bin/dirsync, static and ready to be copied anywhere
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/dirsync ./cmd/dirsync

demo: build ## Watch it at work on a simulated tenant; needs nothing
	bin/dirsync demo

test: ## Run all tests
	go test ./...

golden: ## Rewrite the golden files of the command after a change that is meant
	go test ./cmd/dirsync -update

lint: ## Run the linter (built from tools/ the first time)
	.ci/run format lint

image: ## Build the container image
	docker build -t dirsync .

ci: ## Run everything that must hold before a change is accepted
	.ci/run
