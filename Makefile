# The words people type. CMake builds (see CMakePresets.json); the scripts set up, test and measure.
.PHONY: help build run test bench fuzz check format asan dev deps clean

help: ## List these words
	@echo 'weir: a service proxy. The commands:'
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 14
	@echo 'All but clean, help and format install what is missing first.'

build: deps ## Build the program: build/weir
	@cmake --preset release >build/configure.log || { cat build/configure.log; exit 1; }
	@cmake --build --preset release --target weir
	@ln -sfn release/weir build/weir
	@echo "weir: the program is build/weir"

run: ## Set everything up, build, and serve the example until Ctrl-C
	@scripts/setup.sh run
	@$(MAKE) --no-print-directory build
	@examples/article/run.sh

test: ## Set everything up and run every test (some: scripts/test.sh unit e2e)
	@scripts/setup.sh test
	@scripts/test.sh

bench: ## Compare speed and memory with others (BENCH=--help for its options)
	@scripts/setup.sh bench
	@$(MAKE) --no-print-directory build
	@cmake --build --preset release --target bench_programs
	@"$$(scripts/toolchain.sh python)" bench/run.py $(BENCH)

fuzz: ## Fuzz for long (FUZZ_SECONDS a target, 600)
	@scripts/setup.sh fuzz
	@scripts/fuzz.sh $(or $(FUZZ_SECONDS),600)

check: ## Check layers, format and scripts
	@scripts/setup.sh dev
	@scripts/test.sh check

format: ## Format the C sources
	@git ls-files '*.c' '*.h' | xargs clang-format -i

dev: deps ## Build as developers do: gcc, warnings are errors (build/dev)
	@cmake --preset dev
	@cmake --build --preset dev

asan: deps ## Build with the address and undefined behaviour sanitizers (build/asan)
	@cmake --preset asan
	@cmake --build --preset asan

deps: ## Install packages, toolchains and pinned dependencies only
	@scripts/setup.sh build
	@mkdir -p build

clean: ## Remove the build (the cache of dependencies stays: ~/.cache/weir)
	rm -rf build
