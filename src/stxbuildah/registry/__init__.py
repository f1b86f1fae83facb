# SPDX-License-Identifier: Apache-2.0
"""Registries, spoken to directly: the OCI distribution specification's client, without any program."""
