# The verbs. Every one may be run again at any time; what is done already costs nothing and needs no network.
SHELL  := /bin/bash
PYTHON := /usr/bin/python3
SUDO   := $(if $(filter-out 0,$(shell id -u)),sudo)
VENV   := .venv
BUILT  := mnmpls/guests/fpshim.so mnmpls/guests/qemu-init
CHOSEN := $(if $(MNMPLS_KERNEL),MNMPLS_KERNEL=$(MNMPLS_KERNEL))

QUICK  := tests/unit $(addprefix tests/kernel/test_,records.py apply.py checks.py mininet.py daemons.py)

.PHONY: help setup containers demo test test-quick drill differential unit lint bench image clean
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup:  ## what a fresh Debian 12 lacks: packages, a kernel for QEMU, mnmpls for /usr/bin/python3
	@$(SUDO) .ci/setup
	@$(MAKE) --no-print-directory --silent $(BUILT)

containers:
	@$(SUDO) .ci/setup --containers
	@$(MAKE) --no-print-directory --silent $(BUILT)

demo: setup  ## bring the L3VPN lab up through Mininet and prove it
	@$(SUDO) $(CHOSEN) /usr/bin/mn --custom topos/l3vpn.py --test prove
	@echo "The mininet> prompt in this lab:  $(if $(SUDO),sudo )mn --custom topos/l3vpn.py"

test: containers lint  ## every test, those for an MPLS kernel inside a guest where the host has none
	$(SUDO) $(if $(CI),CI=$(CI)) $(CHOSEN) $(PYTHON) -m pytest

# What goes wrong most, of each room: in five minutes on two processors.
test-quick: setup lint  ## the tests that say most in five minutes
	$(SUDO) $(CHOSEN) $(PYTHON) -m pytest $(QUICK)

drill: setup  ## every variant of the ring 20 times, for a day or DRILL="--minutes 60", going on where it ended
	@$(SUDO) $(PYTHON) -m tests.drills $(DRILL)

differential: containers  ## each lab in every runtime, compared; LABS="topos/lsp.yml ..." for some, an hour or two for all
	@$(SUDO) $(PYTHON) -m tests.differential $(LABS)

unit: setup  ## only the tests that need neither root nor a kernel: seconds
	$(PYTHON) -m pytest tests/unit

lint: setup $(VENV)/.done  ## mypy --strict and ruff
	$(VENV)/bin/python -m mypy
	$(VENV)/bin/ruff check

bench: setup  ## how fast labs come up, against the kernel's own floor and others; BENCH="--help" for the choices
	@$(SUDO) $(PYTHON) -m tests.bench $(BENCH)

image: containers  ## the container image of mnmpls's nodes, and a slim one, into docker (DOCKER_HOST says which)
	@$(SUDO) $(if $(DOCKER_HOST),DOCKER_HOST=$(DOCKER_HOST)) $(PYTHON) -m mnmpls.containers.image

clean:  ## take away all that setup, lint and test made here, and the installed mnmpls (Debian's packages stay)
	@rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/mnmpls"
	@$(SUDO) .ci/setup --remove

# UML on a CPU with more register state than the kernel was built for needs this beside it: see the C file.
mnmpls/guests/fpshim.so: $(wildcard mnmpls/guests/fpshim.c)
	$(if $<,gcc -O2 -Wall -Werror -shared -fPIC -o $@ $< -ldl)

# First process of the QEMU guest. Static: it is alone in its initramfs.
mnmpls/guests/qemu-init: $(wildcard mnmpls/guests/qemu_init.c)
	$(if $<,gcc -O2 -Wall -Werror -static -s -o $@ $<)

# Debian's own packages are visible there, so that mypy checks against what the product runs with.
$(VENV)/.done: .ci/lint.txt
	@echo "lint tools into $(VENV) (once)"
	@$(PYTHON) -m venv --clear --system-site-packages $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@
