"""Web servers that mean no good, all in one process: `hostile_web.py PORT ADDRESS=HOW …`, HOW a name out of HOSTILE or
`tls:CERTIFICATE:KEY`. Writes `ready` when they listen. They go on for as long as somebody is there to read."""
import asyncio
import os
import socket
import ssl
import struct
import sys

OK = b"HTTP/1.1 200 OK\r\n"


async def silent(reader, writer):
    await reader.read()


async def slow_head(reader, writer):
    for octet in OK + b"Server: as slow as it can be while it still moves\r\n\r\n":
        await send(writer, bytes([octet]))
        await asyncio.sleep(1)


async def endless(writer, piece):
    while True:
        await send(writer, piece)


async def endless_head(reader, writer):
    await send(writer, OK)
    await endless(writer, b"X-Line: " + b"x" * 500 + b"\r\n")


async def endless_line(reader, writer):
    await endless(writer, b"x" * 1000)


async def endless_interim(reader, writer):
    await endless(writer, b"HTTP/1.1 100 Continue\r\n\r\n" * 20)


async def endless_body(reader, writer):
    await send(writer, OK + b"\r\n")
    await endless(writer, b"x" * 4000)


async def slow_body(reader, writer):
    await send(writer, OK + b"\r\n")
    for _ in range(10):
        await send(writer, b"x")
        await asyncio.sleep(1)


def reset_after(said, reads=True):
    async def act(reader, writer):
        if reads:
            await reader.readuntil(b"\r\n\r\n")
        await send(writer, said)
        await asyncio.sleep(0.02 if said else 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return act


def says(text):
    async def act(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await send(writer, text)

    return act


async def garbage_at_once(reader, writer):
    await send(writer, b"\x16\x03\x03\xff\xff" + os.urandom(70_000))


async def send(writer, octets):
    writer.write(octets)
    await writer.drain()


HOSTILE = {
    "silent": silent, "slow-head": slow_head, "slow-body": slow_body, "endless-head": endless_head,
    "endless-line": endless_line, "endless-interim": endless_interim, "endless-body": endless_body,
    "too-long": says(OK + b"Content-Length: 10000\r\n\r\nready"),
    "too-short": says(OK + b"Content-Length: 2\r\n\r\nokready"),
    "negative": says(OK + b"Content-Length: -5\r\n\r\nready"),
    "twice": says(OK + b"Content-Length: 5\r\nContent-Length: 50\r\n\r\nready"),
    "enormous": says(OK + b"Content-Length: 99999999999999999999999\r\n\r\nready"),
    "bad-chunks": says(OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nready"),
    "garbage": says(os.urandom(5000)), "garbage-at-once": garbage_at_once, "closes": says(b""),
    "reset-at-once": reset_after(b"", reads=False), "reset-after-request": reset_after(b""),
    "reset-in-head": reset_after(OK + b"Server: x\r\n"), "reset-in-body": reset_after(OK + b"Content-Length: 9\r\n\r\nx"),
    "tls": says(OK + b"Content-Length: 5\r\n\r\nready"),
}


def behaviour(how):
    if how.startswith("redirect:"):
        target = how.removeprefix("redirect:").encode()
        return says(b"HTTP/1.1 302 Found\r\nLocation: " + target + b"\r\nContent-Length: 0\r\n\r\n"), None
    if how.startswith("tls:"):
        _, certificate, key = how.split(":")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        return HOSTILE["tls"], context
    return HOSTILE[how], None


async def main(port, *servers):
    for server in servers:
        address, how = server.split("=", 1)
        act, context = behaviour(how)

        async def serve(reader, writer, act=act):
            try:
                await act(reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError):
                pass
            finally:
                writer.close()

        await asyncio.start_server(serve, address, int(port), ssl=context)
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
