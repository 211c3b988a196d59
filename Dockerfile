# syntax=docker/dockerfile:1
# The server with its ONNX runtime; mount or copy a folder of models to /mnt/models.
ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS build
COPY . /src
RUN python3 -m venv /opt/oipserver && /opt/oipserver/bin/pip install --no-cache-dir "/src[onnx]"

FROM ${BASE_IMAGE}
COPY --from=build /opt/oipserver /opt/oipserver
ENV PATH=/opt/oipserver/bin:$PATH PYTHONUNBUFFERED=1
# Any user id works, also the random ones some clusters give: nothing is written at run time.
USER 1000
WORKDIR /tmp
EXPOSE 8080 8081 8082
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/v2/health/live', timeout=2)"]
# The exec form: SIGTERM reaches the server, which finishes what is in flight.
CMD ["oipserver", "start", "/mnt/models"]
