"""What a process may be started with by others: limits, refusals of the kernel. For preexec_fn of subprocess.Popen."""
import ctypes
import errno
import os
import resource
import signal
import socket

SCMP_ACT_ALLOW = 0x7FFF0000


def limited(which, amount):
    return lambda: resource.setrlimit(which, (amount, amount))


def without_standard_descriptors():
    for fd in range(3):
        os.close(fd)


def ignoring_signals():
    """As under nohup, or below a parent that does not care for its children."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


class _Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def without_netlink_and_inotify():
    """As where a service manager allows some families of addresses only, and the user has no inotify instance left."""
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
    library.seccomp_load.argtypes = [ctypes.c_void_p]

    def refuse(name, error, *comparisons):
        number = library.seccomp_syscall_resolve_name(name)
        assert library.seccomp_rule_add(filter_, 0x00050000 | error, number, len(comparisons), *comparisons) == 0

    filter_ = library.seccomp_init(SCMP_ACT_ALLOW)
    refuse(b"socket", errno.EAFNOSUPPORT, _Comparison(0, 4, socket.AF_NETLINK, 0))  # 4: equal
    refuse(b"inotify_init1", errno.EMFILE)
    assert library.seccomp_load(filter_) == 0
