"""Addresses, ports and waiting."""
import itertools
import os
import socket
import time

_numbers = itertools.count(1)


def loopback():
    """An IPv4 loopback address that nobody else in this run uses."""
    n = next(_numbers)
    return f"127.{64 + os.getpid() % 128}.{n // 250}.{n % 250 + 1}"


def free_port(*addresses):
    """A port that is free for UDP and TCP on all the addresses."""
    for _ in range(100):
        sockets = []
        try:
            port = 0
            for address in addresses:
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    s = socket.socket(family, kind)
                    sockets.append(s)
                    s.bind((address, port))
                    port = s.getsockname()[1]
            return port
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    raise RuntimeError("no free port")


def wait_until(condition, timeout, pause=0.01, what="condition"):
    """Returns the seconds it took until `condition()` was true; fails after `timeout`, to which is added what the machine
    stood still meanwhile: nobody else could do anything either."""
    start = time.monotonic()
    stood_still = 0
    while True:
        if condition():
            return time.monotonic() - start
        before = time.monotonic()
        if before - start > timeout + stood_still:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(pause)
        over = time.monotonic() - before - pause
        if over > 0.5:
            stood_still += over


def median(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
