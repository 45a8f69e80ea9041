from bench.servers import Servers


async def measure(servers: Servers, *, smoke: bool) -> None:
    pass
