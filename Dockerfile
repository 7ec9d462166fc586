# The image holds the program, the certificates that it trusts and the time zones, and nothing else: no shell, no
# package manager, no user but a number.
#
#   docker build -t dirsync .
#   docker run --rm dirsync demo --once
#   docker run --rm -v ./config.yaml:/etc/dirsync/config.yaml:ro -v ./secrets:/run/secrets:ro -v dirsync:/var/lib/dirsync dirsync run

FROM golang:1.26 AS build
WORKDIR /src
# The modules change seldom, so they are a layer of their own.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -mod=readonly -trimpath -ldflags='-s -w' -o /image/usr/bin/dirsync ./cmd/dirsync
RUN mkdir -p /image/etc/ssl/certs /image/usr/share && \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ && \
    cp "$(go env GOROOT)/lib/time/zoneinfo.zip" /image/usr/share/zoneinfo.zip && \
    mkdir -p /owned/var/lib/dirsync /owned/tmp && \
    chmod 0700 /owned/var/lib/dirsync /owned/tmp

FROM scratch
COPY --from=build /image/ /
COPY --from=build --chown=65532:65532 /owned/ /
ENV ZONEINFO=/usr/share/zoneinfo.zip
# A number, because Kubernetes can tell of a number that it is not root.
USER 65532:65532
VOLUME /var/lib/dirsync
ENTRYPOINT ["/usr/bin/dirsync"]
CMD ["run"]
