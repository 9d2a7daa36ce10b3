# The public side alone: no desk, and no code that opens a tip. Run it with a read-only root file system:
#   docker run --read-only --tmpfs /tmp:noexec,nosuid,size=16m --cap-drop ALL --security-opt no-new-privileges \
#     -v haumaru:/var/lib/haumaru -v ./haumaru.toml:/etc/haumaru/haumaru.toml:ro haumaru
FROM python:3.12-slim-bookworm AS build
WORKDIR /opt/haumaru
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock ./
RUN python -m venv .venv && .venv/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml LICENSE README.md ./
COPY app app
COPY content content
COPY translations translations
RUN rm -r app/desk app/vault/age_open.py \
    && .venv/bin/pip install --no-build-isolation --no-deps -e . \
    && rm .venv/bin/haumaru-desk \
    && .venv/bin/haumaru build \
    && .venv/bin/python -m compileall -q app

FROM python:3.12-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/haumaru --create-home --shell /usr/sbin/nologin haumaru \
    && chmod 0700 /var/lib/haumaru \
    && install -d -o haumaru /srv/haumaru
COPY --from=build /opt/haumaru /opt/haumaru
ENV PATH=/opt/haumaru/.venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /var/lib/haumaru
USER 10001:10001
VOLUME /var/lib/haumaru
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["haumaru"]
CMD ["serve", "--config", "/etc/haumaru/haumaru.toml"]
