"""A line that breaks: passes TCP connections on, and cuts those that carry much.

    flaky_line.py LISTEN TARGET LOG [--cut BYTES] [--cuts N] [--rate BYTES]

The first N connections that bring more than so many bytes are cut there, each a bit later than the one before, and
each cut is a line in the log. With --rate a connection brings at most so many bytes a second.
"""

import argparse
import asyncio
import contextlib

PIECE = 64 * 1024


class Line:
    def __init__(self, asked):
        self.asked = asked
        self.cuts = 0

    async def carry(self, reader, writer, limit=None):
        carried = 0
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while piece := await reader.read(PIECE):
                if limit is not None and self.cuts < self.asked.cuts and carried + len(piece) > limit:
                    self.cuts += 1
                    with open(self.asked.log, "a") as log:
                        log.write(f"cut after {carried} bytes\n")
                    writer.transport.abort()
                    return True
                carried += len(piece)
                writer.write(piece)
                await writer.drain()
                if limit is not None and self.asked.rate:
                    await asyncio.sleep(len(piece) / self.asked.rate)
            writer.write_eof()
        return False

    async def connect(self, reader, writer):
        try:
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self.asked.target)
        except OSError:
            writer.transport.abort()
            return
        limit = self.asked.cut + self.cuts * 777_777
        back = asyncio.ensure_future(self.carry(their_reader, writer))
        if await self.carry(reader, their_writer, limit):
            back.cancel()
        await back
        for end in (writer, their_writer):
            end.transport.abort()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("listen", type=int)
    parser.add_argument("target", type=int)
    parser.add_argument("log")
    parser.add_argument("--cut", type=int, default=4_000_000)
    parser.add_argument("--cuts", type=int, default=0)
    parser.add_argument("--rate", type=int, default=0)
    line = Line(parser.parse_args())
    server = await asyncio.start_server(line.connect, "127.0.0.1", line.asked.listen)
    async with server:
        await server.serve_forever()


asyncio.run(main())
