# SPDX-License-Identifier: Apache-2.0
"""What a machine without any engine can still do: put wheels into images where they lie."""

from stxbuildah.engine.findings import Findings
from stxbuildah.engine.remedy import install_command
from stxbuildah.model.host import Capability, State


def registry_lane(findings: Findings) -> Capability:
    """Tell whether images can be updated in registries and files, which takes neither programs nor namespaces."""
    trusted = findings.certificates
    return Capability(
        name="images in registries",
        probed_by="OpenSSL's places of certificates",
        found=f"certificates in {', '.join(trusted)}" if trusted else "no certificates",
        state=State.OK if trusted else State.WARN,
        consequence="wheels can be put into images where they lie (stxb update --push, --to), whatever else fails here"
        if trusted
        else "a registry is trusted only with its certificate in certs.d or --cert-dir",
        improve="" if trusted else install_command(findings.facts.system, "ca-certificates"),
    )
