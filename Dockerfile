# One image for both programs, for amd64 and arm64. From a clone:
#
#   docker build -t bellmetal:0.1.0 .
#
# Everything that pip installs is pinned with hashes. Wheels found in build/wheels are taken from
# there; with --build-arg PIP_NO_INDEX=1 nothing is looked for anywhere else. Another base needs
# Python 3.11 as python3; the base of the build stage needs pip and a shell besides.

ARG BASE=docker.io/library/python:3.11-slim-bookworm
ARG BUILD_BASE=${BASE}

FROM ${BUILD_BASE} AS build
ARG PIP_NO_INDEX=0
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ONLY_BINARY=:all: \
    PIP_FIND_LINKS=/wheels PIP_ROOT_USER_ACTION=ignore PIP_NO_COMPILE=1 PYTHONDONTWRITEBYTECODE=1
RUN python3 -m venv --without-pip /opt/bellmetal && python3 -m venv --without-pip /builder
COPY constraints-build.txt constraints-runtime.txt build/wheel[s] /wheels/
RUN python3 -m pip --python /builder/bin/python install --require-hashes \
      -r /wheels/constraints-build.txt \
 && python3 -m pip --python /opt/bellmetal/bin/python install --require-hashes \
      -r /wheels/constraints-runtime.txt
COPY pyproject.toml README.md LICENSE /src/
COPY operator /src/operator
COPY announcers /src/announcers
RUN cd /src && /builder/bin/python -m hatchling build -t wheel -d /own \
 && python3 -m pip --python /opt/bellmetal/bin/python install --no-deps --no-index /own/*.whl
# Away with what nobody reads at run time. Compiled code belongs to the image: its root will be read-only.
RUN cd /opt/bellmetal && find . -depth -type d '(' -name tests -o -name test ')' -exec rm -r {} + \
 && find . -type f '(' -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.[ch]' ')' -exec rm {} + \
 && python3 -m compileall -q --invalidation-mode unchecked-hash lib

FROM ${BASE}
LABEL org.opencontainers.image.title="bellmetal" \
      org.opencontainers.image.description="Load balancer for bare-metal Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
# The standard library's compiled code, where the base has none.
RUN ["python3", "-c", "\
import compileall, py_compile, re, sysconfig\n\
compileall.compile_dir(\
    sysconfig.get_path('stdlib'), quiet=2,\
    rx=re.compile('/(dist-packages|ensurepip|idlelib|lib2to3|site-packages|tests?|tkinter)/'),\
    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)"]
COPY --from=build /opt/bellmetal /opt/bellmetal
ENV PATH=/opt/bellmetal/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# A library that the base lacks is found out here.
RUN ["python3", "-c", "import bellmetal.controller, bellmetal.speaker, bellmetal_bgp.announcer, bellmetal_layer2.announcer"]
USER 65534:65534
ENTRYPOINT ["bellmetal"]
