# The image of one part, from the repository's root; compose.yaml has the arguments of each:
#   docker build --build-arg PART=services/registrar --build-arg USES="packages/sip packages/runtime" --build-arg MODULE=dialog_registrar .
FROM python:3.13-slim-trixie AS build
ARG PART
WORKDIR /src
RUN python -m venv /opt/dialog
# The pinned dependencies change less often than the code: a layer of their own.
COPY ${PART}/requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip /opt/dialog/bin/pip install --require-hashes -r requirements.lock
COPY schemas/ schemas/
COPY packages/ packages/
COPY ${PART}/ ${PART}/
# Only what the part uses: a registrar carries no media library, the services no sandbox.
ARG USES
RUN --mount=type=cache,target=/root/.cache/pip /opt/dialog/bin/pip install --no-deps --no-build-isolation schemas/ ${USES} ${PART}

FROM python:3.13-slim-trixie
RUN useradd --system --no-create-home dialog
COPY --from=build /opt/dialog /opt/dialog
ARG MODULE
ENV PATH=/opt/dialog/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DIALOG_MODULE=${MODULE}
USER dialog
EXPOSE 8080
ENTRYPOINT ["sh", "-c", "exec python -m $DIALOG_MODULE \"$@\"", "dialog"]
CMD ["--conf", "/etc/dialog/server.conf", "--http", "0.0.0.0:8080"]
