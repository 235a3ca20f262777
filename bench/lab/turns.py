"""Several servers take turns under the same load; each turn gives CPU time a query. What a server spends anyway (its
checks, its timers) is measured just before, without load, and taken off: it does not depend on queries."""
import time

from . import measure


def rest_share(server, seconds=1.0):
    """CPU seconds a second that the server uses without load."""
    before, at = server.cpu_ns(), time.monotonic_ns()
    time.sleep(seconds)
    return (server.cpu_ns() - before) / (time.monotonic_ns() - at)


def interleave(servers, load, rounds, warm=True):
    """`load(server)` -> figures with `received`. Returns {name: {"us": [...], "qps": [...], "lost": n, ...}}."""
    results = {s.name: {"us": [], "qps": [], "lost": 0, "wrong": 0, "rest": []} for s in servers}
    for turn in range(rounds + (1 if warm else 0)):
        for server in servers:
            rest = rest_share(server)
            before, began = server.cpu_ns(), time.monotonic_ns()
            figures = load(server)
            spent = server.cpu_ns() - before - rest * (time.monotonic_ns() - began)
            if warm and turn == 0:
                continue
            result = results[server.name]
            result["us"].append(spent / max(figures["received"], 1) / 1000)
            result["rest"].append(rest)
            result["qps"].append(figures["qps"])
            result["lost"] += int(figures["lost"])
            result["wrong"] += int(figures.get("wrong", 0))
    return results


def rows(results, base):
    """A row a server: CPU a query, how far its rounds lay apart, its ratio to `base` (the median of the rounds' ratios)."""
    out = []
    for name, r in results.items():
        ratios = [a / b for a, b in zip(r["us"], results[base]["us"])]
        out.append([name, f"{measure.median(r['us']):.2f}", f"±{100 * measure.spread(r['us']):.0f} %",
                    f"{measure.median(ratios):.2f}", f"{measure.median(r['qps']):,.0f}", r["lost"],
                    f"{100 * measure.median(r['rest']):.1f} %"])
    return out


HEAD = ["program", "CPU a query, µs", "spread", "ratio", "queries a second", "lost", "CPU at rest"]
