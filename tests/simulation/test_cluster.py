"""Kill parts of a small cluster; `make crash-cluster` does it with all parts of a large one."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from tests.bus import nats_server
from tests.simulation.crash_cluster import add_members, background
from tests.simulation.crowd import Crowd
from tests.simulation.servers import OneServer
from tests.store import postgres_server


async def test_nothing_is_lost_when_parts_of_a_cluster_end(tmp_path: Path) -> None:
    """docs/guarantees.md: with several servers, no accepted message is lost, doubled or out of order."""
    async with AsyncExitStack() as stack:
        database = stack.enter_context(postgres_server.running())
        nats = stack.enter_context(nats_server.running(tmp_path))
        url = postgres_server.new_database(database)
        names = ["alice", "bob", "carol"]
        devices = [(name, device) for name in names for device in ("laptop", "phone")]
        tokens = add_members(url, devices)
        port = int(database.rpartition(":")[2])
        servers = [OneServer(tmp_path, [port], nats.port, url.rpartition("/")[2]) for _ in range(2)]
        crowd = Crowd(",".join(f"127.0.0.1:{each.port}" for each in servers), names, ["#team"], seed=1, pause=0.1)
        crowd.add_devices(tokens)
        await stack.enter_async_context(background([asyncio.create_task(each.run()) for each in servers]))
        await asyncio.gather(*(each.serves.wait() for each in servers))
        stack.push_async_callback(crowd.stop)
        await crowd.start()
        crowd.write()
        await crowd.progress()
        servers[0].kill()
        await crowd.progress()
        nats.kill()
        await crowd.progress()
        await asyncio.to_thread(nats.start)
        await asyncio.to_thread(postgres_server.restart, database)
        await crowd.progress()
        await crowd.settle()
