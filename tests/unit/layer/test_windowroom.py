# SPDX-License-Identifier: Apache-2.0
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.layer.bytestream import ByteStream
from stxbuildah.layer.windowroom import USUAL_WINDOW, WindowRoom
from stxbuildah.layer.zstdframes import zstd_blocks

MIB = 2**20


class Memory:
    """Counts what several threads have at the same time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = 0
        self.most = 0

    def change(self, by: int) -> None:
        with self.lock:
            self.now += by
            self.most = max(self.most, self.now)


@given(
    st.lists(st.lists(st.sampled_from([0, 1, 8, 9, 16, 32, 64, 128]), min_size=1, max_size=5), min_size=1, max_size=6)
)
def test_streams_have_no_more_than_there_is_room_for(streams: list[list[int]]) -> None:
    room, memory = WindowRoom(64 * MIB), Memory()

    def stream(windows: list[int]) -> None:
        with room.stream() as take:
            for window in windows:
                take(window * MIB)
                size = window if window * MIB > USUAL_WINDOW else 0
                memory.change(size)
                memory.change(-size)

    with ThreadPoolExecutor(len(streams)) as pool:
        for task in [pool.submit(stream, windows) for windows in streams]:
            task.result()
    # One that is larger than the room has all of it to itself.
    assert memory.most <= max(64, *(max(windows) for windows in streams))


def test_a_stream_that_fails_leaves_its_room_to_others() -> None:
    room = WindowRoom(64 * MIB)

    def fail() -> None:
        with room.stream() as take:
            take(128 * MIB)
            raise EOFError

    with pytest.raises(EOFError):
        fail()
    with room.stream() as take, room.stream() as another:
        take(32 * MIB)
        another(32 * MIB)


def frame(size: int, log: int, *, known: bool = False) -> bytes:
    """A frame with a window of a power of two, which the library makes smaller where it knows the content's size."""
    parameters = zstandard.ZstdCompressionParameters(window_log=log)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj(size=size if known else -1)
    return compressor.compress(bytes(size)) + compressor.flush()


@given(st.integers(0, 70_000), st.booleans(), st.integers(10, 24))
def test_windows_are_told_as_the_library_reads_them(size: int, known: bool, log: int) -> None:
    packed = frame(size, log, known=known)
    told: list[int] = []

    assert b"".join(zstd_blocks(ByteStream([packed], limit=MIB, name="it"), told.append)) == bytes(size)
    header = zstandard.get_frame_parameters(packed)
    assert told == [min(header.window_size, size) if known else header.window_size]


def test_frames_of_one_stream_are_told_one_after_the_other() -> None:
    told: list[int] = []
    packed = b"".join(frame(1000, log) for log in (10, 24, 20))
    assert b"".join(zstd_blocks(ByteStream([packed], limit=MIB, name="it"), told.append)) == bytes(3000)
    assert told == [1 << 10, 1 << 24, 1 << 20]
