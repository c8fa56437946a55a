# The image of the action and of `docker run`: one static program and the roots of certificate authorities.
#
# Nothing is built here. scripts/image puts the programs into dist/, one folder for each architecture, and calls this
# with all arguments. A builder that is not BuildKit has no TARGETARCH of its own: it has to be given then.
#
# There is no USER: GitHub's container actions have to run as root to write the runner's files. Elsewhere any user does:
# docker run --user 65532:65532 …
FROM scratch

ARG TARGETARCH
ARG SOURCE=https://github.com/image-syncer/image-syncer
ARG REVISION=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="image-syncer" \
      org.opencontainers.image.description="Keeps third-party container images in your own registry" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}"

# The certificates, the licence, and a folder for temporary files that every user may write to.
COPY dist/all/ /
COPY dist/${TARGETARCH}/image-syncer /image-syncer

ENTRYPOINT ["/image-syncer"]
