# SPDX-License-Identifier: Apache-2.0
"""An image as its manifest and configuration say it."""

import attrs

from stxbuildah.model.value import Value

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


@attrs.frozen(kw_only=True)
class ImageDocuments(Value):
    """The two documents that make an image, byte for byte.

    Attributes:
        manifest: the manifest's bytes.
        config: the configuration's bytes.
    """

    manifest: bytes
    config: bytes
