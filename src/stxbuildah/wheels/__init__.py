# SPDX-License-Identifier: Apache-2.0
"""Building wheels, and what they say of themselves."""
