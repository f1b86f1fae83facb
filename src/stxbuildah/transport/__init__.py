# SPDX-License-Identifier: Apache-2.0
"""Where images lie outside the local store, each kind behind the same two interfaces: registries, layouts, archives."""
