# SPDX-License-Identifier: Apache-2.0
"""Values: frozen, without input or output."""
