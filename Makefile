# Every command of the project; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run stop clean lab lab-status lab-stop lab-clean test test-more test-lab kubernetes lint format lock check \
	bench-pages bench-provisioning bench-backups bench-services bench-machines

PY := .venv/bin/python
# Where an environment forbids it, every one of our many processes compiles each module it imports anew.
export PYTHONDONTWRITEBYTECODE :=
SYSTEM_PYTHON := $(firstword $(wildcard /usr/bin/python3) python3)

LAB_PLAYBOOK := ANSIBLE_CALLBACK_RESULT_FORMAT=yaml ANSIBLE_DISPLAY_SKIPPED_HOSTS=false \
	.venv/bin/ansible-playbook -i playbooks/lab/hosts.yml playbooks/lab

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:
	@$(SYSTEM_PYTHON) lab/setup.py

setup-dev:
	@$(SYSTEM_PYTHON) lab/setup.py --dev

run: setup ## set up everything, run it on the sample city, tell two stories (ONCE=1: then stop; PODS=0: without Kubernetes, which is built the first time)
	@$(PY) -m lab.city run $(if $(ONCE),--once) $(if $(filter 0,$(PODS)),--without-pods)

stop: ## stop what `make run` started; everything is kept
	@[ ! -x $(PY) ] || $(PY) -m lab.city stop

clean: ## stop everything and remove all that was made, in the checkout and on the machine
	@[ ! -x $(PY) ] || $(PY) -m lab.city clean
	@rm -rf .venv var ui/node_modules ui/static/vendor benchmarks/out build dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

lab: setup ## the whole lab on this Debian host by playbooks/lab/, as `vagrant up` brings it up in a machine of its own
	@$(LAB_PLAYBOOK)/site.yml

lab-status: setup ## what runs of the lab, where, and what stands behind it
	@$(PY) -m lab.city status

lab-stop: setup ## stop the lab; everything is kept
	@$(LAB_PLAYBOOK)/stop.yml

lab-clean: setup ## take the lab back: the host as it was before, with a list of what went
	@$(LAB_PLAYBOOK)/clean.yml

test: setup-dev ## lint and every test, on real parts
	@$(PY) -m lab.testing

test-more: setup-dev ## what is too long for every change: every page in both languages, machines after their first day, a cloud that fails, the lab's own clouds and servers, what the lab does to its host (PART=pages, day_two, faults, embedded: no root needed; host)
	@$(PY) -m lab.testing more $(if $(PART),--part $(PART))

test-lab: setup-dev ## every service in every place where it can stand, by real clients (PART=servers: no root needed; cluster, machines: packages are installed and taken back; BRIEF=1: servers and cluster in short)
	@$(PY) -m lab.testing lab $(if $(PART),--part $(PART)) $(if $(BRIEF),--brief)

kubernetes: setup ## build the lab's Kubernetes where it never was, for some ten minutes; nothing is started
	@$(PY) -m lab.kubernetes build

lint: setup-dev ## ruff, mypy, import-linter, ansible-lint, vagrant validate, djlint
	@$(PY) -m lab.testing lint

format: setup-dev ## let ruff format the code
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

check: setup ## check declarations, counters and the audit chain of the running city
	@CONTROLPLANE_VAR_DIR=var/controlplane $(PY) -m controlplane.cli check

bench-pages: setup-dev ## every page on a city with 5,000 resources
	@$(PY) -m benchmarks.pages

bench-provisioning: setup-dev ## an order from approval to ACTIVE beside the SDK, on the same cloud
	@$(PY) -m benchmarks.provisioning

bench-backups: setup-dev ## a million rows backed up, lost, restored, exchanged, drilled; recovery time and point
	@$(PY) -m benchmarks.backups

bench-services: setup-dev ## databases, brokers, namespaces: from approval to a client's first answer, beside the bare plays
	@$(PY) -m benchmarks.services

bench-machines: setup-dev ## a database on a machine of its own, beside booting and installing it by hand (root)
	@$(PY) -m benchmarks.machines

lock: setup-dev ## resolve requirements/*.in into their locks
	@.venv/bin/uv pip compile -q --no-header --no-emit-index-url --python-version 3.11 requirements/controlplane.in -o requirements/controlplane.lock
	@.venv/bin/uv pip compile -q --no-header --no-emit-index-url --python-version 3.11 requirements/dev.in -o requirements/dev.lock
	@.venv/bin/uv pip compile -q --no-header --no-emit-index-url --python-version 3.11 lab/openstack/requirements.in -o lab/openstack/requirements.lock
	@.venv/bin/uv pip compile -q --no-header --no-emit-index-url --python-version 3.11 lab/services/postgresql.in -o lab/services/postgresql.lock
	@.venv/bin/uv pip compile -q --no-header --no-emit-index-url --python-version 3.11 lab/kubernetes/toolchain.in -o lab/kubernetes/toolchain.lock
