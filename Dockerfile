# The image holds the program, the certificates that it trusts, and nothing else: no shell, no package manager, no user
# but a number. The time zones are in the program.
#
#   docker build -t dirsync .
#   docker run --rm dirsync demo --once
#   docker run -v ./config.yaml:/etc/dirsync/config.yaml:ro -v ./secrets:/run/secrets:ro -v dirsync:/var/lib/dirsync dirsync
#
# `make packages` makes the same image without a container engine, with its version in it and the same digest each time.

FROM golang:1.26 AS build
WORKDIR /src
# The modules change seldom, so they are a layer of their own.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make build OUT=/image/usr/bin/dirsync
RUN mkdir -p /image/etc/ssl/certs && \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ && \
    mkdir -p /owned/var/lib/dirsync /owned/tmp && \
    chmod 0700 /owned/var/lib/dirsync /owned/tmp

FROM scratch
COPY --from=build /image/ /
COPY --from=build --chown=65532:65532 /owned/ /
ENV PATH=/usr/bin
# A number, because Kubernetes can tell of a number that it is not root.
USER 65532:65532
VOLUME /var/lib/dirsync
HEALTHCHECK --interval=30s --timeout=5s --start-period=5m CMD ["/usr/bin/dirsync", "health"]
ENTRYPOINT ["/usr/bin/dirsync"]
CMD ["serve"]
