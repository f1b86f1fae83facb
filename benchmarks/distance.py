# SPDX-License-Identifier: Apache-2.0
"""A registry that is far away: a proxy on loopback that lets every byte take its time."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


def _ignored(count: int) -> None:
    del count


@contextmanager
def delayed(port: int, round_trip: float, count: Callable[[int], None] = _ignored) -> Iterator[int]:
    """Give a port that leads to another one of this machine, and takes longer for it.

    Args:
        port: where it leads to.
        round_trip: seconds that a question and its answer take longer; to connect takes as long.
        count: told how many bytes came by, in either direction.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="distance")
    thread.start()

    async def start() -> asyncio.Server:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(round_trip)
            there = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(
                _carry(reader, there[1], round_trip / 2, count), _carry(there[0], writer, round_trip / 2, count)
            )

        return await asyncio.start_server(connected, "127.0.0.1", 0)

    async def stop() -> None:
        server.close()
        carrying = asyncio.all_tasks() - {asyncio.current_task()}
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float, count: Callable[[int], None]
) -> None:
    """Carry bytes from one end to the other; each arrives so many seconds after it was sent, and so does the end."""
    clock = asyncio.get_running_loop().time
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def arrive() -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(max(due - clock(), 0))
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    async def leave() -> None:
        data = b"more"
        while data:
            try:
                data = await reader.read(1 << 16)
            except OSError:
                data = b""
            count(len(data))
            under_way.put_nowait((clock() + seconds, data))

    with suppress(OSError):
        await asyncio.gather(arrive(), leave())
