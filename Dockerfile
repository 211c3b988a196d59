# Written by oipserver dockerfile, which overwrites it; this folder; models are mounted at /mnt/models.
ARG BASE_IMAGE=python:3.12-slim-bookworm

FROM ${BASE_IMAGE} AS build
ARG PIP_INDEX_URL=
ARG PIP_EXTRA_INDEX_URL=
RUN python3 -c 'import sys; sys.version_info >= (3, 11) or sys.exit("the base image has Python " + sys.version.split()[0] + ": expected 3.11 or newer")' \
    && python3 -m venv /opt/oipserver
ENV PATH=/opt/oipserver/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY . /source
WORKDIR /source
RUN pip install \
    '.[onnx]'

FROM ${BASE_IMAGE}
ARG BASE_IMAGE
LABEL io.oipserver.version="0.1.0" \
    org.opencontainers.image.base.name="${BASE_IMAGE}" \
    org.opencontainers.image.title="oipserver"
COPY --from=build /opt/oipserver /opt/oipserver
ENV PATH=/opt/oipserver/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 1000:0
WORKDIR /tmp
EXPOSE 8080 8081 8082
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('OIPSERVER_HTTP_PORT', '8080') + '/v2/health/live', timeout=2)"]
# The exec form: SIGTERM reaches the server, which finishes what is in flight.
CMD ["oipserver", "start", "/mnt/models"]
