# syntax=docker/dockerfile:1
# The operator: Python packages locked by hash in one layer, its own code in the next, nothing else above the base.
# The base needs python3 (3.11 or newer) with venv and pip; what runs needs no shell and writes nothing.
ARG BASE_IMAGE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE_IMAGE} AS dependencies
COPY requirements.lock /
# Compiled files carry a hash of their source, not its time: the same lock gives the same layer.
RUN python3 -m venv --without-pip /opt/python \
 && python3 -m pip --python /opt/python/bin/python --no-cache-dir --disable-pip-version-check \
    install --quiet --require-hashes --only-binary :all: --no-compile -r /requirements.lock \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/python/lib

# With what it uses of Python's own library, which the base has as source only.
FROM dependencies AS code
COPY dbupgrade /layer/opt/dbupgrade/dbupgrade
COPY webhook /layer/opt/dbupgrade/webhook
RUN --mount=type=bind,source=images/compile.py,target=/run/compile.py \
    python3 -m compileall -q --invalidation-mode unchecked-hash -s /layer /layer/opt \
 && PYTHONPATH=/layer/opt/dbupgrade /opt/python/bin/python -B /run/compile.py /layer dbupgrade.app dbupgrade.aws

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="DBUpgrade operator" \
      org.opencontainers.image.description="Runs database schema migrations for Kubernetes applications" \
      org.opencontainers.image.source="https://github.com/subbug/dbupgrade" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=dependencies /opt/python /opt/python
COPY --from=code /layer /
ENV PYTHONPATH=/opt/dbupgrade PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 8080 8081 9443
ENTRYPOINT ["/opt/python/bin/python", "-m", "dbupgrade"]
CMD ["run"]
