# Two commands matter: `make quickstart` and `make test`. Both install what Debian 12 lacks, build, and run.

PACKAGES := libpq-dev librdkafka-dev libyaml-dev libsimdjson-dev postgresql zlib1g-dev
# What the tests read the result files and docker-compose.yml with, and make certificates with.
TEST_PACKAGES := docker-compose openssl python3-venv
BENCH_PACKAGES := binutils valgrind
STATE ?= .allocbench
SCENARIO ?= scenarios/quickstart.yaml
SWIFT_FLAGS ?=
RUN_FLAGS := $(if $(SECURITIES),--securities '$(SECURITIES)') $(if $(PRICES),--prices '$(PRICES)')

# What AllocBench is measured beside; pgbench comes with Debian's server since its version 15.
PEER_PACKAGES := kcat $(if $(shell which pgbench),,postgresql-contrib)
PEERS_FLAGS ?=

.PHONY: quickstart test bench peers scaling build install python librdkafka deployment lint format clean

quickstart: build
	ALLOCBENCH_STATE='$(STATE)' .build/release/allocbench run '$(SCENARIO)' $(RUN_FLAGS)

build: install
	swift build -c release --product allocbench $(SWIFT_FLAGS)

# The tests start the debug binary, so it is built with them.
test: install lint deployment librdkafka
	swift build --build-tests $(SWIFT_FLAGS)
	ALLOCBENCH_EXECUTABLE="$$(swift build --show-bin-path)/allocbench" \
		ALLOCBENCH_PYTHON='$(CURDIR)/.build/python/bin/python' scripts/run-tests $(SWIFT_FLAGS)

# What the parts of the harness's own path cost, each alone, against the baseline of this kind of machine; BASELINE=write
# makes that, ONLY='decode,encode' measures a part, WIKI=wiki/Bench.md rewrites the page's table. Valgrind counts
# instructions where the kernel can't.
bench: install
	@scripts/install-packages $(BENCH_PACKAGES)
	swift build -c release --product allocbench-micro $(SWIFT_FLAGS)
	.build/release/allocbench-micro --state '$(STATE)/bench' $(if $(ONLY),--only '$(ONLY)') \
		$(if $(BASELINE),--baseline '$(BASELINE)') $(if $(INSTRUCTIONS),--instructions '$(INSTRUCTIONS)') \
		$(if $(WIKI),--wiki '$(WIKI)')

# Our paths beside what a user would pick instead, on this machine; with a real Kafka in KAFKA_HOME. WIKI= leaves the page as
# it is, as trials must: PEERS_FLAGS='--pairs 1' or '--size tiny'.
peers: WIKI ?= wiki/Peers.md
peers: build
	@scripts/install-packages $(PEER_PACKAGES)
	swift build -c release --product allocbench-peers $(SWIFT_FLAGS)
	.build/release/allocbench-peers $(if $(WIKI),--wiki '$(WIKI)') $(PEERS_FLAGS)

# How throughput follows workers, partitions, sizes, blocks, accounts and executions; half an hour, with a real Kafka in KAFKA_HOME.
scaling: build
	scripts/scaling-curves

install:
	@scripts/install-packages $(PACKAGES)

# docker-compose.yml, what it mounts, and deploy/kubernetes, without running any of it.
deployment: python
	@scripts/check-deployment

# The interpreter with which tests hold the result files against other people's readers.
python:
	@scripts/install-packages $(TEST_PACKAGES)
	@scripts/install-python

# A later librdkafka than Debian's, for LD_LIBRARY_PATH: what SCRAM to Kafka 4 takes.
librdkafka: python
	@scripts/install-librdkafka

lint:
	swift format lint --strict --recursive Package.swift Sources Tests

format:
	swift format --in-place --recursive Package.swift Sources Tests

clean:
	-.build/release/allocbench services stop --state '$(STATE)'
	rm -rf .build
