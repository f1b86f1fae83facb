# SPDX-License-Identifier: Apache-2.0
"""Build and update container images rootless and without a daemon."""

__version__ = "0.1.0.dev0"
