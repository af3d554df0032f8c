# imagenet-subset with all that it can use but MPI: turbo on the CPU, DALI and CuPy on GPUs, parquet,
# Dask. MPI has to be the cluster's own.
#
#   docker build -t imagenet-subset .
#
# docs/gpu.md says how to run it. The host needs a driver for CUDA 12 or later and NVIDIA's container
# toolkit; without --gpus the image builds on the CPU.

# "runtime", since CuPy looks for NVRTC, which "base" lacks. DALI brings its own decoders.
FROM nvidia/cuda:12.9.1-runtime-ubuntu24.04

# Ubuntu keeps one version of a package, so that a pinned one can't be had after its next update.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# The packages first, so that a change of the source alone downloads none of them anew.
COPY pyproject.toml /src/
RUN python3 -m venv /opt/venv \
    && python3 -c 'import tomllib; \
whole = tomllib.load(open("/src/pyproject.toml", "rb")); \
project, extras = whole["project"], ("turbo", "gpu", "parquet", "dask"); \
print(*whole["build-system"]["requires"], *project["dependencies"], sep="\n"); \
print(*(p for e in extras for p in project["optional-dependencies"][e]), sep="\n")' \
    > /src/packages.txt \
    && /opt/venv/bin/pip install --no-cache-dir --requirement /src/packages.txt

COPY README.md LICENSE /src/
COPY aux_files /src/aux_files
COPY imagenet_subset /src/imagenet_subset
COPY pipelines /src/pipelines
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation /src \
    && install --directory --owner=1000 --group=1000 /out

# Whoever the user is, and if the root file system is read-only: caches go to /tmp, results to /out.
# "video" is for the driver's part of the JPEG engine.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    IMAGENET_SUBSET_CACHE_DIR=/tmp/imagenet-subset \
    CUPY_CACHE_DIR=/tmp/cupy \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video

LABEL org.opencontainers.image.title="imagenet-subset" \
    org.opencontainers.image.description="A slice of ImageNet (ILSVRC 2012) as one NPZ" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.licenses="MIT"

# The user that Ubuntu's image has; docker run --user takes another one.
USER 1000:1000
WORKDIR /out
ENTRYPOINT ["imagenet-subset"]
