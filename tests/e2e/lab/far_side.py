"""Another host, in a network namespace of its own behind a veth pair: for tests in a network of their own."""
import contextlib
import ctypes
import subprocess

from .own_network import CLONE_NEWNET, run

def move_to(namespace):
    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


NEAR, FAR = "10.70.0.1", "10.70.0.2"


class FarSide:
    """Ours is the interface `near` with 10.70.0.1; the default route leads to the far host, which has `addresses`."""

    def __init__(self, addresses):
        self.process = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.inside = ("nsenter", "-t", str(self.process.pid), "-n")
        run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(self.process.pid))
        run("ip", "address", "add", f"{NEAR}/24", "dev", "near")
        self.run("ip", "address", "add", f"{FAR}/24", "dev", "far")
        for address in addresses:
            self.add(address)
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "link", "set", "far", "up")
        self.link_up()

    def run(self, *command):
        run(*self.inside, *command)

    @contextlib.contextmanager
    def entered(self):
        """Sockets that this thread opens meanwhile are the far side's."""
        with open("/proc/thread-self/ns/net") as ours, open(f"/proc/{self.process.pid}/ns/net") as theirs:
            move_to(theirs)
            try:
                yield
            finally:
                move_to(ours)

    def add(self, address):
        self.run("ip", "address", "add", f"{address}/32", "dev", "lo")

    def remove(self, address):
        """What is sent there is lost without a word."""
        self.run("ip", "address", "del", f"{address}/32", "dev", "lo")

    def lose_replies(self, to=NEAR):
        self.run("ip", "route", "add", "blackhole", f"{to}/32")

    def find_replies(self, to=NEAR):
        self.run("ip", "route", "del", "blackhole", f"{to}/32")

    def link_up(self):
        run("ip", "link", "set", "near", "up")
        run("ip", "route", "replace", "default", "via", FAR)

    def link_down(self):
        run("ip", "link", "set", "near", "down")

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
