# Everything a person types. `make run-serve` and `make test` install what is missing and build first.

MAKEFLAGS += --no-print-directory
BUILD ?= build
REPO ?= .
PROGRAM = $(BUILD)/codex-orchestrator

.PHONY: build bootstrap run-serve run-init test package fmt fmt-check tidy bench clean

# Build output goes to stderr: standard output belongs to the server.
build: bootstrap
	@[ -e $(BUILD)/build.ninja ] || cmake -S . -B $(BUILD) -G Ninja $(CMAKE_FLAGS) >&2
	@cmake --build $(BUILD) >&2

bootstrap:
	@scripts/bootstrap.sh

# Serves the repository REPO (default: this one) on standard input and output.
run-serve: build
	@exec $(PROGRAM) serve --repo $(REPO)

run-init: build
	@$(PROGRAM) once --repo $(REPO) --method workspace.init

test: build
	@ctest --test-dir $(BUILD) --output-on-failure -j 2

# A Debian package in $(BUILD).
package: build
	@scripts/bootstrap.sh --package
	@cd $(BUILD) && cpack >&2 && ls "$$PWD"/*.deb

SOURCES = $(shell git ls-files '*.cpp' '*.hpp')

fmt:
	@scripts/bootstrap.sh --tidy
	clang-format -i $(SOURCES)

fmt-check:
	@scripts/bootstrap.sh --tidy
	@clang-format --dry-run -Werror $(SOURCES)

# Static analysis of the program's sources; takes some minutes. clang-tidy cannot read the headers
# that g++ precompiled, so it gets compile commands without them.
tidy: bootstrap
	@scripts/bootstrap.sh --tidy
	@cmake -S . -B $(BUILD)/tidy -G Ninja -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON -DBUILD_TESTING=OFF >&2
	git ls-files 'actors/*.cpp' 'config/*.cpp' 'io/*.cpp' 'messages/*.cpp' 'storage/*.cpp' \
	  | xargs -P 2 -n 4 clang-tidy -p $(BUILD)/tidy --quiet

bench: build
	@$(BUILD)/bench/orchestrator-bench --server $(PROGRAM)

clean:
	rm -rf $(BUILD)
