# SPDX-License-Identifier: Apache-2.0
"""A plan to its effect: buildah, podman, skopeo, registries and the host."""
