"""A server of completions that streams tokens at known times, keeps a log of when it wrote each, and can misbehave.

    python -m tests.tuner.load.known_server [--port 0] [--ttft-ms 50] [--token-ms 20] [--misbehave stall] …

It prints its URL once it listens. `GET /log` answers with what it wrote and when, in seconds of the monotonic clock,
which on one machine is the client's clock too.
"""

import argparse
import asyncio
import contextlib
import signal
import threading
from collections.abc import Iterator

from tests.tuner.load.behaviour import Behaviour, Counting, Misbehaviour
from tests.tuner.load.known_connection import Connection
from tests.tuner.load.known_log import Known


async def _listen(known: Known, port: int) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(known), "127.0.0.1", port, backlog=2048)


@contextlib.contextmanager
def serving(behaviour: Behaviour) -> Iterator[tuple[str, Known]]:
    """A known server in a thread of this process: its URL and its state; it ends with the block."""
    known, ready, loop = Known(behaviour), threading.Event(), asyncio.new_event_loop()
    ports: list[int] = []
    stop = asyncio.Event()

    async def run() -> None:
        server = await _listen(known, 0)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        server.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield f"http://127.0.0.1:{ports[0]}", known
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


async def _serve(behaviour: Behaviour, port: int) -> None:
    server = await _listen(Known(behaviour), port)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    server.close()


def main() -> None:
    """Serves until it is told to end."""
    parser = argparse.ArgumentParser(description="a server with known token times")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ttft-ms", type=float, default=50.0)
    parser.add_argument("--token-ms", type=float, default=20.0)
    parser.add_argument("--tokens-per-chunk", type=int, default=1)
    parser.add_argument("--counting", type=Counting, default=Counting.NONE)
    parser.add_argument("--misbehave", type=Misbehaviour, default=None)
    parser.add_argument("--healthy-requests", type=int, default=0)
    given = parser.parse_args()
    behaviour = Behaviour(
        ttft_seconds=given.ttft_ms / 1000,
        token_seconds=given.token_ms / 1000,
        tokens_per_chunk=given.tokens_per_chunk,
        counting=given.counting,
        misbehaviour=given.misbehave,
        healthy_requests=given.healthy_requests,
    )
    asyncio.run(_serve(behaviour, given.port))


if __name__ == "__main__":
    main()
