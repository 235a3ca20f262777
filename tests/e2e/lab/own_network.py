"""Runs a test in a child process with a network, mounts and /etc/resolv.conf of its own, so that port 53, IPv6
addresses and whole file systems may be used freely. Needs root."""
import ctypes
import functools
import os
import subprocess
import sys
import traceback

import pytest

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


def add_addresses(*addresses):
    for address in addresses:
        width = 128 if ":" in address else 32
        extra = ("nodad",) if ":" in address else ()
        run("ip", "address", "add", f"{address}/{width}", "dev", "lo", *extra)


def bind_over(target, source):
    run("mount", "--bind", str(source), str(target))


def mount_points():
    with open("/proc/self/mountinfo") as lines:
        return [line.split()[4] for line in lines]


def stay_apart():
    """Keeps what we mount out of everybody else's sight."""
    # In a chroot / is no mount point and cannot be made private: there what we mounted is taken away at the end.
    subprocess.run(("mount", "--make-rprivate", "/"), capture_output=True)


def take_away(before):
    for point in reversed(mount_points()):
        if point not in before:
            subprocess.run(("umount", "--lazy", point), capture_output=True)


def in_own_network(test):
    @functools.wraps(test)
    def wrapper(*arguments, **options):
        if os.geteuid() != 0:
            pytest.skip("needs root for a network of its own")
        sys.stdout.flush()
        sys.stderr.flush()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            said = b""
            mounted = mount_points()
            try:
                if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "unshare")
                stay_apart()
                run("ip", "link", "set", "lo", "up")
                test(*arguments, **options)
            except BaseException:
                said = traceback.format_exc().encode()
            for fixture in options.values():  # what the child has made is the child's to end
                if hasattr(fixture, "end"):
                    try:
                        fixture.end()
                    except BaseException:
                        said += traceback.format_exc().encode()
            take_away(mounted)
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(said or b"fine")
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
        if said != b"fine":
            pytest.fail(said.decode() or "the child ended without a word", pytrace=False)

    return wrapper
