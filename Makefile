# Few commands, the same for everyone; each is one line over a CMake preset or a tool. `make help` lists them.
.PHONY: all test dev asan tsan lint clean cross-arm64 cleanroom help
PRESET = cmake --preset $(1) >build/$(1).log 2>&1 || { cat build/$(1).log; exit 1; }; cmake --build build/$(1)
TESTS = ctest --test-dir build/$(1) --output-on-failure --no-tests=error -j$(shell nproc)

all: build/.folder ## install what the build needs, build the release; leaves build/weir
	@tools/install build
	@$(call PRESET,release)
	@test ! -x build/release/weir || strip -o build/weir build/release/weir

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
