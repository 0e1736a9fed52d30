"""Hosts of a test's own: network namespaces, which reach services of the test's by pipes that can be cut."""

import os
import shutil
import subprocess
import sys
import textwrap
import uuid

ALLOWED = os.geteuid() == 0 and shutil.which("ip") is not None

#: Listens on one address (``path`` of a Unix socket, or a port of 127.0.0.1) and connects to another, byte by byte.
_PIPE = """
import asyncio, sys

def way(text):
    return {"path": text} if "/" in text else {"host": "127.0.0.1", "port": int(text)}

async def copy(reader, writer):
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()

async def meet(reader, writer):
    to = way(sys.argv[2])
    try:
        there = await (asyncio.open_unix_connection(**to) if "path" in to else asyncio.open_connection(**to))
    except OSError:
        writer.close()
        return
    await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))

async def main():
    at = way(sys.argv[1])
    server = await (asyncio.start_unix_server(meet, **at) if "path" in at else asyncio.start_server(meet, **at))
    print("listens", flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


class Host:
    """A network namespace in which ``ports`` of 127.0.0.1 lead to the same ports outside."""

    def __init__(self, folder, ports):
        self.name = f"mv-{uuid.uuid4().hex[:8]}"
        self._ip("netns", "add", self.name)
        self._processes = []
        try:
            self._inside("ip", "link", "set", "lo", "up")
            for port in ports:
                path = folder / f"{self.name}-{port}"
                self._pipe([], path, port)
                self._pipe(["ip", "netns", "exec", self.name], port, path)
        except BaseException:
            self.close()
            raise

    def _ip(self, *words):
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def _inside(self, *words):
        self._ip("netns", "exec", self.name, *words)

    def _pipe(self, prefix, at, to):
        words = [*prefix, sys.executable, "-c", textwrap.dedent(_PIPE), str(at), str(to)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        assert process.stdout.readline() == "listens\n"

    def run(self, *words, **more):
        """A process on this host."""
        process = subprocess.Popen(["ip", "netns", "exec", self.name, *words], **more)
        self._processes.append(process)
        return process

    def cut(self):
        """Nothing passes any more; connections stand."""
        self._inside("ip", "link", "set", "lo", "down")

    def heal(self):
        self._inside("ip", "link", "set", "lo", "up")

    def close(self):
        for process in self._processes:
            process.kill()
            process.wait()
        self._ip("netns", "delete", self.name)
