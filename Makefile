# make train   set up, then train and test: on ChestX-ray14 if it is there, else on a generated phantom
# make test    set up, then lint, types and tests
# make docs    set up, then build the pages into build/site
# make test-wheel   build the wheel and use it on both stacks, in an empty folder
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PYTEST := -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# The real data set if XRAY14_ROOT names it or data/ChestX-ray14 is there, else the phantom.
XRAY14 := $(or $(XRAY14_ROOT),$(wildcard data/ChestX-ray14))
CONFIG ?= $(if $(XRAY14),configs/mlrfnet_xray14.py,configs/mlrfnet_phantom.py)
WORK_DIR ?= work_dirs/$(basename $(notdir $(CONFIG)))

.PHONY: train test test-onedl test-wheel docs phantom
.DELETE_ON_ERROR:

train: $(VENV)/.done $(if $(findstring phantom,$(CONFIG)),phantom)
	$(BIN)/python tools/train.py $(CONFIG) --work-dir $(WORK_DIR)
	$(BIN)/python tools/report.py $(WORK_DIR)
	@echo 'page        $(WORK_DIR)/report.html'

test: $(VENV)/.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python $(PYTEST)

# The same project on the maintained fork of the stack, in an environment of its own.
test-onedl: $(VENV)-onedl/.done
	$(VENV)-onedl/bin/python $(PYTEST) tests/test_commands tests/test_engine tests/test_other_projects

# The built wheel by pip, without the checkout, on either stack.
test-wheel: $(VENV)/.done $(VENV)-onedl/.done
	bash tests/wheel.sh $(VENV) $(VENV)-onedl

docs: $(VENV)/.done
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

phantom: $(VENV)/.done
	$(BIN)/python tools/make_phantom.py

$(VENV)/.done: EXTRAS := openmmlab,dev
$(VENV)-onedl/.done: EXTRAS := onedl,dev,other-projects
$(VENV)/.done $(VENV)-onedl/.done: $(VENV)-torch/.done setup.py constraints.txt
	$(PYTHON) -m venv $(@D)
	cd $(@D)/lib/python*/site-packages && echo ../../../../$(VENV)-torch/lib/python*/site-packages > torch.pth
	$(@D)/bin/pip install -q -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

# PyTorch takes gigabytes: both environments look for it here.
$(VENV)-torch/.done: constraints.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install -q -c constraints.txt torch torchvision
	@touch $@
