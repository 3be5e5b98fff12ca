# The program without any server: it works on a database and a broker that run elsewhere (--database, --brokers).
# wiki/Environment.md says how it is built and used, what it weighs, and how far this file has been tried.

# What else may be given, such as a mirror: --build-arg SWIFT_IMAGE=… --build-arg RUNTIME_IMAGE=…
ARG SWIFT_IMAGE=swift:6.3.1-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-20260824-slim

FROM ${SWIFT_IMAGE} AS build
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        libpq-dev librdkafka-dev libsimdjson-dev libyaml-dev pkg-config zlib1g-dev \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# Swift's own libraries go into the binary, so that the image needs none of them. The names of functions stay in it, for
# a back trace; what a debugger would want besides goes.
RUN swift build --configuration release --product allocbench --static-swift-stdlib \
    && install -D --mode 755 "$(swift build --configuration release --static-swift-stdlib --show-bin-path)/allocbench" \
        /out/allocbench \
    && strip --strip-debug /out/allocbench

FROM ${RUNTIME_IMAGE}
# libstdc++6 is simdjson's; ca-certificates are what TLS to a server with a public certificate is checked with.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        ca-certificates libpq5 librdkafka1 libsimdjson14 libstdc++6 libyaml-0-2 zlib1g \
    && apt-get clean && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 allocbench \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/allocbench --shell /usr/sbin/nologin allocbench \
    && install --directory --owner 10001 --group 10001 /var/lib/allocbench /var/lib/allocbench/results
COPY --from=build /out/allocbench /usr/local/bin/allocbench
COPY scenarios /usr/share/allocbench/scenarios
COPY LICENSE /usr/share/doc/allocbench/copyright
# The manifest of a run names the commit: --build-arg GIT_COMMIT=$(git rev-parse HEAD)
ARG GIT_COMMIT=
ENV ALLOCBENCH_GIT_COMMIT=${GIT_COMMIT}
# Results and state are written below /var/lib/allocbench: mount a volume there, or the container keeps them to itself.
USER 10001:10001
WORKDIR /var/lib/allocbench
ENTRYPOINT ["/usr/local/bin/allocbench"]
CMD ["--help"]
