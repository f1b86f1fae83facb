# SPDX-License-Identifier: Apache-2.0
"""The command ``docker`` that scripts find on their PATH: it speaks to the same store as everything else here."""
