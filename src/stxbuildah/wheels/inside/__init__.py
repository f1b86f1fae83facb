# SPDX-License-Identifier: Apache-2.0
"""What runs in the container of a build: the standard library alone, of Python 3.9 and later."""
