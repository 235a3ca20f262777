"""A small web server in a process of its own: answers every request after a delay. Obeys lines on its standard input:
`status 500`, `delay 0.02`, `body text`. Writes `ready` when it listens and, to each line, the requests it had so far
and how many of them ran at one time at most."""
import asyncio
import sys

state = {"status": "200", "delay": "0", "body": "fine"}
requests = {"all": 0, "open": 0, "most": 0}


async def serve(reader, writer):
    requests["all"] += 1
    requests["open"] += 1
    requests["most"] = max(requests["most"], requests["open"])
    try:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(float(state["delay"]))
        body = state["body"].encode()
        writer.write(b"HTTP/1.1 %s Whatever\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
                     % (state["status"].encode(), len(body)) + body)
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        requests["open"] -= 1
        writer.close()


async def main(address, port, delay):
    state["delay"] = delay
    await asyncio.start_server(serve, address, int(port), reuse_address=True)
    print("ready", flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        key, value = line.decode().rstrip("\n").split(" ", 1)
        state[key] = value
        print(requests["all"], requests["most"], flush=True)


asyncio.run(main(*sys.argv[1:]))
