# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from stxbuildah.layer.inventory import take_inventory
from stxbuildah.layer.memory import MemoryTree
from stxbuildah.layer.recorded import RecordedTree
from stxbuildah.model.inventory import Inventory, OsRelease
from tests.unit.layer.test_distributions import BASE, SITE, said
from tests.unit.layer.test_recorded import never

IMAGE = MemoryTree(
    {
        **BASE,
        "/etc/os-release": b"ID=debian\nVERSION_ID=13\n",
        f"{SITE}/one-1.0.dist-info/METADATA": said("one", "1.0"),
    }
)


def test_an_image_without_python_has_an_inventory_all_the_same() -> None:
    tree = MemoryTree({"/etc/os-release": b"ID=alpine\n"})
    assert take_inventory(tree, "") == Inventory(os_release=OsRelease(id="alpine"), environment=None)


def test_an_inventory_is_taken_again_from_the_record_alone(tmp_path: Path) -> None:
    store = tmp_path / "record"
    first = RecordedTree(lambda: IMAGE, store)
    inventory = take_inventory(first, "")
    first.save()
    assert inventory.os_release == OsRelease(id="debian", version_id="13")
    assert [one.name for one in inventory.distributions] == ["one"]
    assert take_inventory(RecordedTree(never, store), "") == inventory
