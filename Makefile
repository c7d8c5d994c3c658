# make test runs everything; the other targets are its parts.
# "work" is the go command's name for all packages of all modules in go.work.

export GOWORK := $(CURDIR)/go.work

.NOTPARALLEL:
.PHONY: test install tools fmt fmt-check mod-check vet lint cross go127 test-race bench-once

# Quick checks first, so that they fail first.
test: fmt-check mod-check vet lint cross install go127 test-race bench-once

# Installs what the tests need and this machine lacks.
install:
	scripts/install-postgres
	scripts/install-pgbouncer

# Builds the tools that tools/go.mod pins; costs nothing when they are up to date.
tools:
	cd tools && GOWORK=off go build -o ../.bin/ tool

fmt: tools
	.bin/gofumpt -w .

fmt-check: tools
	scripts/check-format

mod-check:
	scripts/check-modules

vet:
	go vet work

lint: tools
	.bin/staticcheck work

cross:
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 go vet work
	CGO_ENABLED=0 GOOS=windows GOARCH=amd64 go vet work

# The root module alone, as its users build it: the newest Go, and no version
# that another module of the workspace asks for.
go127:
	GOWORK=off GOTOOLCHAIN=go1.27.0 go vet ./...
	GOWORK=off GOTOOLCHAIN=go1.27.0 go test -short -count=1 ./...

test-race:
	go test -race -shuffle=on work

# Every benchmark once, so that none rots.
bench-once:
	go test -run '^$$' -bench . -benchtime 1x work
