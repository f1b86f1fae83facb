# SPDX-License-Identifier: Apache-2.0
import pytest

from stxbuildah.job.layertrees import stream_limits
from stxbuildah.layer.tarmember import Limits

GIB = 2**30


@pytest.mark.parametrize(
    ("size", "total"), [(0, 16 * GIB), (GIB // 100, 16 * GIB), (GIB, 200 * GIB), (50 * GIB, Limits().total)]
)
def test_a_layer_may_be_so_large_as_its_blob_lets_expect(size: int, total: int) -> None:
    assert stream_limits(size).total == total
