"""Web servers to be checked: small ones that can be told anything, and nginx with certificates."""
import os
import pathlib
import signal
import subprocess
import sys

from .net import free_port, loopback, wait_until


class WebServer:
    """One small server; it can be killed, stopped, slowed down or told to fail."""

    def __init__(self, address=None, port=None, delay=0.0, inside=()):
        self.inside = inside  # the beginning of a command: in which namespace it runs
        self.address = address or loopback()
        self.port = port or free_port(self.address)
        self.delay = delay
        self.process = None

    @property
    def url(self):
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}/"

    def begin(self):
        """Starts without waiting: several start side by side."""
        script = pathlib.Path(__file__).with_name("web_process.py")
        self.process = subprocess.Popen(
            [*self.inside, sys.executable, "-S", "-E", script, self.address, str(self.port), str(self.delay)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def wait(self):
        assert self.process.stdout.readline() == "ready\n"
        return self

    def start(self):
        return self.begin().wait()

    def tell(self, key, value):
        """Changes `status`, `delay` or `body`; returns (requests so far, most of them at one time)."""
        self.process.stdin.write(f"{key} {value}\n")
        self.process.stdin.flush()
        return tuple(map(int, self.process.stdout.readline().split()))

    def requests(self):
        return self.tell("asked", "")

    def signal(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()


def start_all(*servers):
    for server in servers:
        server.begin()
    for server in servers:
        server.wait()
    return servers


class Nginx:
    """nginx with the `server { … }` blocks given, in the foreground of a folder of its own."""

    def __init__(self, folder, servers):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "nginx.conf").write_text(f"""
daemon off; master_process off; worker_processes 1; pid {self.folder}/pid; error_log {self.folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {self.folder}; proxy_temp_path {self.folder}; fastcgi_temp_path {self.folder};
  uwsgi_temp_path {self.folder}; scgi_temp_path {self.folder};
  {servers}
}}
""")

    def start(self):
        self.process = subprocess.Popen(["nginx", "-c", self.folder / "nginx.conf", "-p", self.folder],
                                        stderr=subprocess.DEVNULL)
        wait_until(lambda: (self.folder / "pid").exists(), 5, what="nginx")
        assert self.process.poll() is None, (self.folder / "error.log").read_text()
        return self

    def end(self):
        self.process.kill()
        self.process.wait()
