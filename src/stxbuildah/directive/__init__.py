# SPDX-License-Identifier: Apache-2.0
"""Text to values: one parser a format. No text is ever executed."""
