# Debian's own Tor, and nothing else.
FROM debian:trixie-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends tor \
    && rm -rf /var/lib/apt/lists/*
# hadolint ignore=DL3066
USER debian-tor
ENTRYPOINT ["tor", "-f", "/etc/tor/torrc"]
