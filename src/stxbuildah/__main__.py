# SPDX-License-Identifier: Apache-2.0
"""Run the command as ``python -m stxbuildah``."""

from stxbuildah.cli.main import main

main()
