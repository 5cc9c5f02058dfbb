# Set-up and the commands of the README and the documentation. `make table3 TORCH=cpu` takes PyTorch without CUDA.
PYTHON ?= python3
TORCH ?= default
VENV := .venv
ENV := $(VENV)/.installed
RUN := . $(VENV)/bin/activate &&
# PyTorch pins these itself where its CUDA build wants them; the CPU build has none.
CUDA := triton cuda-bindings cuda-pathfinder cuda-toolkit $(addprefix nvidia-,cublas cuda-cupti \
	cuda-nvrtc cuda-runtime cudnn-cu13 cufft cufile curand cusolver cusparse cusparselt-cu13 \
	nccl-cu13 nvjitlink nvshmem-cu13 nvtx)

.PHONY: env table3 all test check docs lock

env: $(ENV)

$(ENV): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version if sys.version_info < (3, 11) else 0)'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "python3 cannot make environments; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
ifeq ($(TORCH),cpu)
	$(VENV)/bin/pip install --quiet --extra-index-url https://download.pytorch.org/whl/cpu \
		"$$(grep '^torch==' requirements.lock)"
endif
	$(VENV)/bin/pip install --quiet --requirement requirements.lock
	$(VENV)/bin/pip install --quiet --no-deps --editable .
	touch $@

table3: $(ENV)
	$(RUN) snakemake -j8 results/tables/table3.csv

all: $(ENV)
	$(RUN) snakemake -j8 all

test: $(ENV)
	$(RUN) pytest

check: $(ENV)
	$(RUN) ruff check && ruff format --check && mypy && snakefmt --check Snakefile workflow \
		&& snakemake --lint

# Where Zensical is installed it builds the same pages; what stays in site/ is MkDocs' work.
docs: $(ENV)
	$(RUN) python docs/fill.py
	$(RUN) if command -v zensical > /dev/null; then zensical build --strict --clean; fi
	$(RUN) NO_MKDOCS_2_WARNING=1 mkdocs build --strict

lock: $(ENV)
	$(VENV)/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--no-annotate --no-header $(addprefix --no-emit-package ,$(CUDA)) -o requirements.lock
