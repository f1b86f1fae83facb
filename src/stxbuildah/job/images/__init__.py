# SPDX-License-Identifier: Apache-2.0
"""``stxb images``: a product's images, each built from its directives file."""
