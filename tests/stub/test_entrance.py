# SPDX-License-Identifier: Apache-2.0
"""What programs are given that are run in a user namespace that is there."""

import attrs

from stxbuildah.engine.process import Entrance
from tests.stub.conftest import StubPrograms


def test_only_the_programs_of_a_namespace_are_run_in_it(programs: StubPrograms) -> None:
    # podman's stand-in takes the place of the program that enters; it runs nothing.
    entrance = Entrance(
        programs=frozenset({"buildah"}), words=("podman", "enter", "--"), variables=(("INSIDE", "yes"), ("BOTH", "in"))
    )
    runner = attrs.evolve(
        programs.runner,
        extra=(*programs.runner.extra, ("BOTH", "out")),
        options=(("buildah", ("--runroot", "/run")), ("skopeo", ("--quiet",)), ("podman", ("--log",))),
        entrance=entrance,
    )
    completed = runner.run(["buildah", "images", "buildah"], extra={"ONE": "1"})
    runner.run(["skopeo", "inspect", "buildah"], extra={"ONE": "1"})
    runner.run(["podman", "info"])
    assert programs.commands == [
        ["podman", "enter", "--", "buildah", "--runroot", "/run", "images", "buildah"],
        ["skopeo", "--quiet", "inspect", "buildah"],
        ["podman", "--log", "info"],
    ]
    inside, *others = (call.environment for call in programs.calls)
    assert (inside["INSIDE"], inside["BOTH"], inside["ONE"]) == ("yes", "in", "1")
    assert [(other.get("INSIDE"), other["BOTH"]) for other in others] == [(None, "out")] * 2
    # Errors and messages name the program that the caller named.
    assert completed.argv == ("buildah", "images", "buildah")
