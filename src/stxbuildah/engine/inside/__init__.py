# SPDX-License-Identifier: Apache-2.0
"""What runs inside the user namespace that owns a container's files; ``engine.tree`` starts it and talks to it.

Its start is part of every update's time: the standard library's cheapest modules only, nothing else of ours.
"""
