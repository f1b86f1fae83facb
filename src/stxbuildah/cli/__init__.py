# SPDX-License-Identifier: Apache-2.0
"""The command line: flags to a request, one call into jobs, a report."""
