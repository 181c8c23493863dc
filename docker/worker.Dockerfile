# A worker that measures TensorRT-LLM: docker build -f docker/worker.Dockerfile -t paretune-worker .
# paretune lives in an environment of its own beside TensorRT-LLM's, for the two want other versions of the same packages.
ARG TRTLLM_IMAGE=nvcr.io/nvidia/tensorrt-llm/release:1.2.1

FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY alembic alembic
COPY service service
COPY tuner tuner
RUN ["pip", "wheel", "--no-cache-dir", "--no-deps", "--wheel-dir", "/wheels", "."]

# hadolint ignore=DL3006
FROM ${TRTLLM_IMAGE}
COPY requirements.lock /tmp/requirements.lock
# NVIDIA's images hold pip to TensorRT-LLM's versions by PIP_CONSTRAINT
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    export PIP_CONSTRAINT="" \
    && python3 -m venv --without-pip /opt/paretune \
    && python3 -m pip --python /opt/paretune/bin/python install --no-cache-dir --require-hashes -r /tmp/requirements.lock \
    && python3 -m pip --python /opt/paretune/bin/python install --no-cache-dir --no-deps --no-index --find-links /wheels paretune==0.1.0 \
    && install -d /data
ENV PARETUNE_DATA_DIR=/data \
    PARETUNE_LOG_FORMAT=json
VOLUME /data
# not on PATH: `python3` and `trtllm-serve` there are TensorRT-LLM's
ENTRYPOINT ["/opt/paretune/bin/paretune"]
CMD ["worker"]
