# SPDX-License-Identifier: Apache-2.0
"""Measurements of stxb against the tools that do the same; run by ``nox -s bench``."""
