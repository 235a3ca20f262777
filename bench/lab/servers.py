"""The programs that are measured: `hard`, the limit programs and the peers. Each is started on the server's core, in a
folder of its own, and ended by its pid."""
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import time

from . import measure

ROOT = pathlib.Path(__file__).resolve().parents[2]


def ask(address, port, host, timeout=0.3):
    """One query for A over UDP; the reply's bytes or None."""
    wire = b"".join(bytes([len(label)]) + label.encode() for label in host.split(".")) + b"\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        try:
            s.connect((address, port))
            s.send(struct.pack(">HHHHHH", 4711, 0x100, 1, 0, 0, 0) + wire + b"\0\1\0\1")
            return s.recv(4096)
        except OSError:
            return None


def has_answer(reply):
    return reply is not None and reply[3] & 15 == 0 and reply[6:8] != b"\0\0"


class Server:
    """A running program. `address` and `port`: where it answers."""

    def __init__(self, name, argv, folder, address, port, core, ready_host=None, env=None):
        self.name, self.address, self.port = name, address, port
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{port}.log"
        self.process = subprocess.Popen(["taskset", "-c", core, *map(str, argv)], stdout=self.log.open("w"),
                                        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=folder,
                                        env={**os.environ, **(env or {})})
        self.pid = self.process.pid
        if ready_host:
            self.wait_for_answer(ready_host)

    def wait_for_answer(self, host, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name} has ended, see {self.log}:\n{self.log.read_text()[-2000:]}")
            if has_answer(ask(self.address, self.port, host)):
                return
            time.sleep(0.05)
        raise SystemExit(f"{self.name} gives no answer for {host}, see {self.log}")

    def pids(self):
        return measure.tree(self.pid)

    def cpu_ns(self):
        return measure.cpu_ns(self.pids())

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def limit_program(build, program):
    return ROOT / build / program


def web_server(folder, addresses, port, core, certificate=None):
    """nginx, that every check is answered by: 200 and a small body, plain HTTP; with a certificate also HTTPS on the next
    port."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    listens = "".join(f"    listen {a}:{port} backlog=4096;\n" for a in addresses)
    if certificate:
        listens += "".join(f"    listen {a}:{port + 1} ssl backlog=4096;\n" for a in addresses)
        listens += f"    ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};\n"
    (folder / "nginx.conf").write_text(f"""
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
{listens}    location / {{ return 200 "ok\\n"; }}
  }} }}
""")
    server = Server("nginx", ["nginx", "-e", folder / "start.log", "-c", folder / "nginx.conf"], folder, addresses[0],
                    port, core)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        with socket.socket() as s:
            if s.connect_ex((addresses[0], port)) == 0:
                return server
        time.sleep(0.02)
    raise SystemExit("nginx does not start")


def hard(folder, build, config, address, port, core, ready_host, name="hard", env=None):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / "har.conf"
    path.write_text(f'dns_bind_interfaces = {{ {address} }}\ndns_listen_port = {port}\ndata_file = "{folder}/har.db"\n'
                    f'control_socket = "{folder}/har.sock"\nallow_clients = {{ 127.0.0.0/8 }}\n' + config)
    return Server(name, [ROOT / build / "hard", path], folder, address, port, core, ready_host, env)


def hard_names(hosts, addresses, web_port, method="tcp", frequency=2, extra=""):
    """Names of three candidates each, the same few addresses in other orders."""
    out = [f"defaults {{ check_frequency = {frequency}\n {extra} }}\n"]
    for i, host in enumerate(hosts):
        out.append(f"name {host} {{\n")
        for c in range(3):
            address = addresses[(i * 3 + c) % len(addresses)]
            out.append(f'  candidate c{c}.{host} {{ check_address = "{method}://{address}:{web_port}" }}\n')
        out.append("}\n")
    return "".join(out)


def gdnsd(folder, hosts, addresses, web_port, address, port, core, interval=10, name="gdnsd"):
    """Health-checked records: plugin multifo over tcp_connect. The hosts are NAME.ZONE of one zone of two labels."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "zones").mkdir(parents=True)
    (folder / "run").mkdir()
    (folder / "state").mkdir()
    resources, records = [], []
    for i, host in enumerate(hosts):
        three = ", ".join(f"a{c} => {addresses[(i * 3 + c) % len(addresses)]}" for c in range(3))
        resources.append(f"      r{i} => {{ {three} }}\n")
        records.append(f"{host.split('.')[0]} 0 DYNA multifo!r{i}\n")
    zone = hosts[0].split(".", 1)[1]
    (folder / "zones" / zone).write_text(
        f"@ SOA ns.{zone}. h.{zone}. ( 1 7200 1800 259200 900 )\n@ NS ns.{zone}.\nns A 192.0.2.1\n" + "".join(records))
    (folder / "config").write_text(f"""
options => {{ listen => [ "{address}:{port}" ], run_dir => "{folder}/run", state_dir => "{folder}/state",
  udp_threads => 1, tcp_threads => 1 }}
service_types => {{ check => {{ plugin => tcp_connect, port => {web_port}, interval => {interval}, timeout => 1 }} }}
plugins => {{ multifo => {{ service_types => check
{''.join(resources)} }} }}
""")
    return Server(name, ["gdnsd", "-c", folder, "start"], folder, address, port, core, hosts[0])


def haproxy(folder, addresses, web_port, method, port, core, interval):
    """Checks of one server each, over HTTP (httpchk) or TCP (connect alone); it serves nobody."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "haproxy.cfg").write_text(f"""
global
  nbthread 1
  maxconn 100
defaults
  mode {"http" if method == "http" else "tcp"}
  timeout connect 1s
  timeout check 1s
  timeout server 5s
  timeout client 5s
frontend front
  bind 127.0.0.1:{port}
  default_backend checked
backend checked
  {"option httpchk GET /" if method == "http" else "option tcp-check"}
  default-server check inter {interval}s
""" + "".join(f"  server s{i} {address}:{web_port}\n" for i, address in enumerate(addresses)))
    return Server(f"haproxy {method}", ["haproxy", "-db", "-q", "-f", folder / "haproxy.cfg"], folder, "127.0.0.1", port,
                  core)


def dnsdist(folder, upstream, address, port, core, ready_host):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dnsdist.conf").write_text(f"""
setLocal("{address}:{port}")
setACL("127.0.0.0/8")
newServer({{address="{upstream[0]}:{upstream[1]}", checkName="up.load.example.", checkInterval=5}})
setSecurityPollSuffix("")
""")
    return Server("dnsdist", ["dnsdist", "--supervised", "--disable-syslog", "-C", folder / "dnsdist.conf"], folder,
                  address, port, core, ready_host)


def pin(pid, cores):
    """All threads of the process onto these cores."""
    subprocess.run(["taskset", "-a", "-c", "-p", cores, str(pid)], check=True, stdout=subprocess.DEVNULL)


def end_all(servers):
    for server in servers:
        server.stop()


def interrupted_by_term():
    """SIGTERM ends the benchmark as Ctrl-C does: what it started is ended too."""
    def on_term(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, on_term)
