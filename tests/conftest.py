# SPDX-License-Identifier: Apache-2.0
"""What every ring of tests shares: how property tests choose their examples."""

import os

from hypothesis import HealthCheck, settings

# The same code gets the same answer, however busy the machine is; STXB_SEARCH=1 looks for new examples.
settings.register_profile(
    "steady", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("search" if os.environ.get("STXB_SEARCH") == "1" else "steady")
