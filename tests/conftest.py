# SPDX-License-Identifier: Apache-2.0
"""Fixtures that every ring of tests shares."""
