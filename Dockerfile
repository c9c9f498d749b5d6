# syntax=docker/dockerfile:1
# fairl-bench on a processor: docker build --tag fairl-bench .
#   docker run --rm --user "$(id -u)" -v fairl:/store -v "$PWD:/work" fairl-bench run detox --jobs 2
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY fairl_bench fairl_bench
COPY plugins plugins
COPY suites suites
COPY results/published results/published
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM python:3.12-slim
LABEL org.opencontainers.image.source="https://github.com/fairl-bench/fairl-bench" \
      org.opencontainers.image.licenses="Apache-2.0"
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY constraints.txt /tmp/constraints.txt
RUN --mount=type=bind,from=build,source=/wheel,target=/wheel \
    pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" --constraint /tmp/constraints.txt \
        "$(ls /wheel/*.whl)[offline]" \
    && useradd --create-home fairl \
    && mkdir --mode=1777 /work /store
USER fairl
# what is finished is kept in /store: mount a volume there to keep it; with --user, any user can write to both folders
ENV FAIRL_STORE=/store OMP_WAIT_POLICY=PASSIVE
VOLUME /store
WORKDIR /work
ENTRYPOINT ["fairl-bench"]
CMD ["--help"]
