# One image for every role: penstock api | worker | scheduler | migrate | admin … | jobs …
# No server is in it: PostgreSQL, Redis or Valkey and the mail server are named in the environment (.env.example).

FROM python:3.11-slim-bookworm AS build
WORKDIR /source
# The dependencies first: they change less often than the code. Wheels only, so no compiler is needed.
COPY requirements.lock .
RUN python -m venv /opt/penstock \
    && /opt/penstock/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock
COPY . .
RUN /opt/penstock/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin penstock
COPY --from=build /opt/penstock /opt/penstock
ENV PATH=/opt/penstock/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PENSTOCK_HOST=0.0.0.0
USER 10001
WORKDIR /
EXPOSE 8080
ENTRYPOINT ["penstock"]
CMD ["api"]
