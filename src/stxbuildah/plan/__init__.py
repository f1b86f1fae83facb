# SPDX-License-Identifier: Apache-2.0
"""Values to a plan: pure functions, one module a command."""
