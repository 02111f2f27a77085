# CPU:  docker build -t exam-qa .
# CUDA: docker build -t exam-qa --build-arg STACK=v100 .     (V100, T4; `gpu` for Ampere and later)
# torch's wheels bring CUDA; the host needs the NVIDIA driver and its container toolkit.
FROM python:3.12-slim-bookworm
ARG STACK=cpu
# Triton compiles its launchers when it first runs.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
ENV EXAMQA_STACK=${STACK} EXAMQA_VENV=/opt/exam-qa EXAMQA_PYTHON=/usr/local/bin/python3 HF_HOME=/models
WORKDIR /app
# The packages change less often than the code: a layer of their own.
COPY run.sh ./
COPY requirements requirements
COPY solution/help.txt solution/
RUN ./run.sh test --version
COPY . .
ENTRYPOINT ["./run.sh"]
CMD ["help"]
