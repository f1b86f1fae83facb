# SPDX-License-Identifier: Apache-2.0
"""The computed layer: what an image holds, what a wheel adds, and the layer between."""
