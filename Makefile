# make demo | test | test-all | check: each does its own set-up in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-all check format runtime runtime-all runtime-check

# The C library: needs a C++ compiler and make; CMake comes from PyPI where the machine has none.
RUNTIME := PATH="$(abspath $(BIN)):$$PATH" CMAKE_BUILD_PARALLEL_LEVEL=$$(nproc)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[train,web,rtx,cta,dev]"
	touch $(STAMP)

# Real pycuda for the tests, built once without CUDA toolkit or driver; without it those tests are skipped with a word.
$(VENV)/.pycuda: $(STAMP)
	-$(BIN)/python -c "import pycuda" 2> /dev/null || \
	  (PYTHON=$(abspath $(BIN))/python tests/backends/build_pycuda.sh $(abspath $(VENV))/wheels && \
	   $(BIN)/pip install --quiet --disable-pip-version-check $(VENV)/wheels/pycuda-*.whl)
	touch $@

demo: $(STAMP)
	$(BIN)/edgeseg demo

# A process a core, each with one thread in torch; tests against the clock run one at a time, after the others.
CLOCK := tests/stream/live tests/stream/web

test: $(STAMP) $(VENV)/.pycuda runtime
	sh tests/stream/live/setup.sh
	failed=0; \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal $(addprefix --ignore=,$(CLOCK)) || failed=1; \
	$(BIN)/python -m pytest $(CLOCK) && exit $$failed

test-all: $(STAMP) $(VENV)/.pycuda runtime-all
	sh tests/stream/live/setup.sh chromium nftables
	$(BIN)/python -m pytest -m "not gpu"

check: $(STAMP) runtime-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# TensorRT's wheels carry no headers: with TENSORRT_ROOT=... (include/, lib/) and, without a CUDA toolkit, CUDA_ROOT=... that backend
# is built and tested as well.
TENSORRT := -DEDGESEG_TENSORRT=$(if $(TENSORRT_ROOT),ON -DTENSORRT_ROOT=$(TENSORRT_ROOT) -DCUDA_ROOT=$(CUDA_ROOT),OFF)

# Built, tested by ctest, installed to a temporary prefix, the example built against that.
runtime: $(STAMP)
	command -v cmake > /dev/null || $(BIN)/pip install --quiet --disable-pip-version-check cmake
	$(RUNTIME) cmake --preset tests -DPython3_EXECUTABLE=$(abspath $(BIN))/python $(TENSORRT)
	$(RUNTIME) cmake --build --preset tests
	$(RUNTIME) ctest --preset tests

# The same under the sanitizers, and a minute of fuzzing (skipped with a word where clang is missing).
runtime-all: runtime
	for kind in asan tsan; do \
	  $(RUNTIME) cmake --preset $$kind -DPython3_EXECUTABLE=$(abspath $(BIN))/python && \
	  $(RUNTIME) cmake --build --preset $$kind && $(RUNTIME) ctest --preset $$kind || exit 1; done
	sh runtime/fuzz/run.sh 20

runtime-check:
	if command -v cppcheck > /dev/null; then \
	  cppcheck --std=c++17 --language=c++ --enable=warning,performance,portability --error-exitcode=1 --inline-suppr --quiet \
	    -DEDGESEG_AVX2 -Iruntime/include -Iruntime/src --suppress=uninitDerivedMemberVar runtime/src examples/embed; \
	else echo "cppcheck skipped: not installed"; fi
