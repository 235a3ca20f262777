"""What a benchmark needs before it starts: packages, programs; and the machine in a few words."""
import datetime
import os
import platform
import subprocess

from . import measure, report, servers


def install_missing(packages):
    """packages: {program: Debian's package}"""
    missing = [package for program, package in packages.items() if subprocess.run(
        ["sh", "-c", f"command -v {program}"], stdout=subprocess.DEVNULL).returncode != 0]
    if missing:
        print("== installing from Debian:", *missing, flush=True)
        # No service is to start: the benchmark starts the programs itself.
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing], check=True,
                       env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}, stdout=subprocess.DEVNULL)


def build(ours):
    """The limit programs, and `ours` where it is the release build."""
    for folder, flags in (("build", ["--preset", "release"]),
                          ("build-bench", ["-B", "build-bench", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                                           "-DHAR_TESTS=OFF", "-DHAR_LIMITS=ON"])):
        if folder == "build" and ours != folder:
            continue
        subprocess.run(["cmake", "-S", ".", *flags], cwd=servers.ROOT, check=True, stdout=subprocess.DEVNULL)
        target = [] if folder == "build" else ["--target", "limits"]
        subprocess.run(["cmake", "--build", folder, *target], cwd=servers.ROOT, check=True, stdout=subprocess.DEVNULL)


def keep(section, command, text, units=""):
    """Puts a table into doc/PERFORMANCE.md, with the command and the machine that it comes from."""
    report.put(servers.ROOT / "doc/PERFORMANCE.md", section, f"`{command}`, {machine()}{units}:\n\n{text}")


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return f"{len(measure.cores())} cores of {model}, Linux {platform.release()}, {datetime.date.today()}"
