# The API, and workers that simulate or measure on a CPU: docker build -f docker/service.Dockerfile -t paretune .
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY alembic alembic
COPY service service
COPY tuner tuner
RUN ["pip", "wheel", "--no-cache-dir", "--no-deps", "--wheel-dir", "/wheels", "."]

FROM python:3.12-slim-bookworm
COPY requirements.lock /tmp/requirements.lock
RUN ["pip", "install", "--no-cache-dir", "--require-hashes", "-r", "/tmp/requirements.lock"]
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-deps --no-index --find-links /wheels paretune==0.1.0 \
    && useradd --create-home --uid 1000 paretune \
    && install -d -o paretune /data
USER 1000
ENV PARETUNE_DATA_DIR=/data \
    PARETUNE_HOST=0.0.0.0 \
    PARETUNE_LOG_FORMAT=json \
    HF_HUB_OFFLINE=1
VOLUME /data
EXPOSE 8321
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8321/healthz', timeout=2)"]
ENTRYPOINT ["paretune"]
CMD ["serve"]
