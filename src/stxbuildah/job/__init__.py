# SPDX-License-Identifier: Apache-2.0
"""What stands behind each short function of ``jobs``: gathering facts, and carrying a plan out."""
