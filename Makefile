# The README's two commands. Each does its own set-up, and only when something has changed:
#   make demo    the lean install, then `wsgn-run --demo`
#   make test    ruff, mypy and pytest in an environment with every extra
# Another interpreter: make demo PYTHON=python3.13. The newest dependencies: make demo PINS=

PYTHON ?= python3
PINS ?= constraints.txt
# Workers with one thread each: threads of several processes in turn would only wait for cores; one
# more than two cores, for tests that wait themselves. Each begins with its share of the tests as they
# lie, so that what the tests of a file share is made once.
PYTEST_ARGS ?= -n 3 --dist worksteal

# pip reads both; the second pins what builds the package, in newer versions of pip.
export PIP_CONSTRAINT := $(PINS)
export PIP_BUILD_CONSTRAINT := $(PINS)

PACKAGES := wsgn kernels export runtime
# With the folders, whose times change when a file comes or goes.
SOURCES := $(shell find $(PACKAGES) -name '__pycache__' -prune -o -print)
SETTINGS := pyproject.toml constraints.txt

# ONNX Runtime's headers, against which tests compile runtime/host/. Its wheels have none; a package
# of npm has, in the framework for iOS. Without npm these tests are skipped.
ORT_PACKAGE := com.github.asus4.onnxruntime
ORT_VERSION := 0.4.9
ORT_HEADERS := mkdir -p .peers/onnxruntime_headers && cd .peers/onnxruntime_headers \
  && npm pack --silent $(ORT_PACKAGE)@$(ORT_VERSION) \
  && tar -xzf $(ORT_PACKAGE)-$(ORT_VERSION).tgz --strip-components=7 --wildcards '*simulator/*/Headers/*.h' \
  && rm $(ORT_PACKAGE)-$(ORT_VERSION).tgz
# Earlier Tritons, each in a folder of its own, without what only debugging and profiling need. The
# pins name another. Where a Python is too new for one, its tests are skipped.
EARLIER_TRITONS := for version in $$(grep -v '^\#' tests/tritons.txt); do \
    PIP_CONSTRAINT= .venv/bin/pip install --quiet --no-deps --no-compile \
      --target .peers/triton-$$version triton==$$version || continue; \
    rm -rf .peers/triton-$$version/triton/backends/nvidia/lib/cupti; \
    strip --strip-unneeded .peers/triton-$$version/triton/_C/libtriton.so || true; \
  done

.PHONY: demo test clean
# Both environments build the package in this folder, one after the other.
.NOTPARALLEL:

demo: .venv-lean/.ready
	.venv-lean/bin/wsgn-run --demo

test: .venv/.ready .venv-lean/.ready .peers/.ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	tools/typecheck.sh .venv/bin/mypy
	OMP_NUM_THREADS=1 WSGN_LEAN_PYTHON="$(CURDIR)/.venv-lean/bin/python" \
	  .venv/bin/pytest $(PYTEST_ARGS)

clean:
	rm -rf .venv .venv-lean .peers .hypothesis .mypy_cache .pytest_cache .ruff_cache build wsgn.egg-info

.venv/.ready: $(SETTINGS)
	$(call new_environment,.venv,)
	.venv/bin/pip install -e '.[test]'
	@touch $@

# NVIDIA's server and bindings and earlier Tritons, for Linux only: elsewhere their tests are skipped.
.peers/.ready: tests/peers.txt tests/tritons.txt | .venv/.ready
	@rm -rf .peers && mkdir .peers
	$(if $(filter Linux-x86_64,$(shell uname -sm | tr ' ' -)), \
	  .venv/bin/pip install --quiet --no-deps --target .peers -r tests/peers.txt)
	-$(if $(filter Linux-x86_64,$(shell uname -sm | tr ' ' -)),$(ORT_HEADERS))
	-$(if $(filter Linux-x86_64,$(shell uname -sm | tr ' ' -)),$(EARLIER_TRITONS))
	@touch $@

# The package is installed, not linked: what the tests see there is what a user gets. setuptools
# would also pack files that were deleted since, from its build folder.
.venv-lean/.ready: $(SETTINGS) $(SOURCES)
	@rm -rf build
	$(if $(filter $(SETTINGS),$?),$(install_lean),$(renew_lean))
	@touch $@

define install_lean
$(call new_environment,.venv-lean,--clear)
	.venv-lean/bin/pip install .
endef

define renew_lean
.venv-lean/bin/pip install --quiet --no-deps --force-reinstall .
endef

define new_environment
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "wsgn needs Python 3.11 or later, and '$(PYTHON)' is none:" \
	    "name another one, as in make $(or $(MAKECMDGOALS),demo) PYTHON=python3.12." >&2; exit 1; }
	$(PYTHON) -m venv $(2) $(1)
endef
