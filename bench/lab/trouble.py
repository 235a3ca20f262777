"""What a daemon may have to do beside answering: each function begins it and returns at once."""
import os
import signal
import subprocess

from . import measure, servers


def rewrite_slots(s, server, rate):
    seconds = int(s.seconds) + 1
    subprocess.Popen(["taskset", "-c", s.client_core, servers.limit_program(s.limits, "slot_writer"), str(server.pid),
                      str(rate), str(seconds)], stdout=subprocess.DEVNULL)


def reload(server):
    os.kill(server.pid, signal.SIGHUP)


def kill_checker(server):
    for pid in server.pids():
        if measure.name_of(pid) == "hard-checker":
            os.kill(pid, signal.SIGKILL)


def hostile_packets(s, server, rate, seconds, folders):
    return _beside(s, "hostile_packets", server, rate, seconds, *folders)


def busy_connections(s, server, connections, host, seconds):
    return _beside(s, "busy_connections", server, connections, host, seconds)


def _beside(s, program, server, *args):
    argv = ["taskset", "-c", s.client_core, servers.limit_program(s.limits, program), server.address, server.port, *args]
    return subprocess.Popen([str(arg) for arg in argv], stdout=subprocess.PIPE, text=True)
