# SPDX-License-Identifier: Apache-2.0
"""``stxb update`` where the disk under the image store itself is full: its exit status, and a store that works on."""

import base64
import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.engine.stxb import PROGRAM, Stxb
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

# Inside the user namespace of its subordinate ids even an ordinary account may mount a disk, and make it smaller than
# the store needs next. Root of the namespace is an ordinary root for buildah: it reads graphroot.
IN_NAMESPACE = """\
set -e
layout=$1 left=$2 disk=$3; shift 3
unset _CONTAINERS_USERNS_CONFIGURED _CONTAINERS_ROOTLESS_UID _CONTAINERS_ROOTLESS_GID BUILDAH_ISOLATION
mount -t tmpfs -o size=1g,mode=711 none "$disk"
printf '%s\\n' '[storage]' 'driver = "overlay"' "graphroot = \\"$disk/root\\"" "runroot = \\"$disk.run\\"" \\
  > "$disk.conf"
export CONTAINERS_STORAGE_CONF=$disk.conf
skopeo copy --quiet "oci:$layout:base" containers-storage:localhost/tests/base:1
buildah images --format '{{.Name}}:{{.Tag}}' > before
used=$(df --output=used --block-size=1K "$disk" | tail -1)
mount -o "remount,size=$((used + left))k" "$disk"
"$@" && status=0 || status=$?
mount -o remount,size=1g "$disk"
"$0" clean > cleaned
buildah containers --quiet > containers
buildah images --format '{{.Name}}:{{.Tag}}' > after
"$@" >&2
exit "$status"
"""


@pytest.mark.parametrize(
    ("lane", "left"),
    # In KiB: at once, in the middle of the wheel, and in the session lane in the middle of what the script writes.
    [("computed", 16), ("computed", 2000), ("session", 16), ("session", 2000), ("session", 6000)],
)
def test_a_full_disk_under_the_store(stxb: Stxb, base_layout: Path, tmp_path: Path, lane: str, left: int) -> None:
    # Nothing makes random text smaller.
    content = base64.b64encode(random.Random(1).randbytes(3_000_000)).decode()  # noqa: S311 # no secret
    wheel = make_wheel(tmp_path, "stx-large", "1.0", files={"stx_large.py": f"TEXT = {content!r}\n"})
    words = [str(PROGRAM), "update", "--from", "localhost/tests/base:1", "--wheel", str(wheel), "--tag", "large"]
    if lane == "session":
        (script := tmp_path / "customize.sh").write_text("head -c 6000000 /dev/urandom > /opt/large\n")
        words += ["--customize", str(script)]
    (disk := tmp_path / "disk").mkdir()
    arguments = [str(PROGRAM), str(base_layout), str(left), str(disk), *words]
    completed = subprocess.run(
        ["buildah", "unshare", "sh", "-c", IN_NAMESPACE, *arguments],
        cwd=stxb.folder,
        env={"PATH": os.environ["PATH"], **stxb.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert completed.returncode == 6, completed.stderr
    assert completed.stdout == ""
    [error] = [line for line in completed.stderr.splitlines() if line.startswith("error: ")]
    assert "no space is left" in error
    assert (stxb.folder / "containers").read_text() == ""
    assert (stxb.folder / "after").read_text() == (stxb.folder / "before").read_text()
    # The second update, once there is room, went well: the script would have ended with its status otherwise.
    assert "localhost/tests/base:large@sha256:" in completed.stderr
