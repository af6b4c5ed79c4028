# Few commands, the same for everyone; each is one line over a CMake preset or a tool. `make help` lists them.
.PHONY: all demo test dev asan tsan fuzz-smoke bench bench-start conformance lint clean cross-arm64 cleanroom help
PRESET = cmake --preset $(1) >build/$(1).log 2>&1 || { cat build/$(1).log; exit 1; }; cmake --build build/$(1)
TESTS = ctest --test-dir build/$(1) --output-on-failure --no-tests=error -j$(shell nproc)

all: build/.folder ## install what the build needs, build the release; leaves build/weir
	@tools/install build
	@$(call PRESET,release)
	@test ! -x build/release/weir || strip -o build/weir build/release/weir

demo: ## install what the demo needs, build, run the main job: nginx, weir, traffic
	@tools/install build demo
	@$(MAKE) --no-print-directory all
	@examples/clickstream/demo

test: build/.folder ## install what build and tests need, build, run all tests
	@tools/install build test cross
	@tools/cross-arm64 --libraries || true
	@$(call PRESET,dev)
	@$(call TESTS,dev)

dev: build/.folder ## build with debug checks in build/dev
	@$(call PRESET,dev)

asan: build/.folder ## build and test with address and undefined-behaviour sanitizers
	@$(call PRESET,asan) && $(call TESTS,asan)

tsan: build/.folder ## build and test with the thread sanitizer
	@$(call PRESET,tsan) && $(call TESTS,tsan)

fuzz-smoke: build/.folder ## 60 seconds of fuzzing the parsers of outside bytes
	@tools/install build test
	@tools/fuzz-smoke

conformance: all ## every story with real clients: against weir, or KAFKA=HOST:PORT
	@tools/install test
	@tests/real/conformance $(or $(KAFKA),--weir build/weir)

bench-start: all ## time to ready, idle memory and system calls, size of the binary
	@tools/install bench
	@bench/start

bench: all ## lines per second from log file to table, beside awk and DuckDB
	@tools/install bench
	@test -x build/bench-venv/bin/python || { python3 -m venv build/bench-venv && build/bench-venv/bin/pip -q install -r bench/requirements.txt; }
	@bench/clickstream

lint: ## the rules of the house: layers, banned calls, long functions
	@tools/tidy.py

cross-arm64: build/.folder ## build all for arm64 and run the tests in an emulator
	@tools/install build cross
	@tools/cross-arm64

cleanroom: ## `make demo` and `make test` of the last commit in a fresh Debian (root only)
	@tools/install cross
	@tools/cleanroom

clean: ## remove build/
	rm -rf build

build/.folder:
	@mkdir -p build && touch $@

help: ## this list
	@awk -F ': .*## |:.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
