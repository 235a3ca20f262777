"""A web server for the demo: webserver.py ADDRESS PORT MILLISECONDS. Answers every request after so long, and ends with
whoever holds the other end of its standard input."""
import asyncio
import sys


async def serve(reader, writer, delay):
    try:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(delay)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
        await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(address, port, milliseconds):
    delay = float(milliseconds) / 1000
    await asyncio.start_server(lambda r, w: serve(r, w, delay), address, int(port), reuse_address=True)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
