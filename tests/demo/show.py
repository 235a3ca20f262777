"""The demo: starts a small world and tells what hard makes of it. Each line is a real query through a real socket, or a
row of hard's data file. show.py [--once]; exit 1 when something was not as it should be."""
import os
import select
import signal
import sys
import termios
import time
import tty

from world import LISTEN, NAME, Upstream, World, addresses

REFUSED_BOUND = 2.5  # seconds until a server that refuses connections is out of the answers
RETURN_BOUND = 20.0  # seconds until the nearest one is answered again, after all had been down

IS_COLOURED = sys.stdout.isatty() and "NO_COLOR" not in os.environ
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if IS_COLOURED else text


def say(text=""):
    print(text, flush=True)


def title(text):
    say("\n" + paint("1", f"== {text}"))


class Show:
    def __init__(self, world):
        self.world = world
        self.failures = 0
        self.queries = self.unanswered = 0

    # ---- what it says

    def check(self, is_so, text):
        if not is_so:
            self.failures += 1
        say(f"   {paint('32', 'ok  ') if is_so else paint('31;1', 'FAIL')} {text}")

    def who(self, address):
        for server in self.world.servers:
            if server.address == address:
                return f"{address} ({server.title.split('.')[0]})"
        return address

    def names_of(self, answer):
        return ", ".join(map(self.who, answer)) or "nothing"

    def answer(self):
        """Asks for the name; counts what stays unanswered."""
        reply, milliseconds = self.world.ask()
        self.queries += 1
        self.unanswered += reply is None
        return addresses(reply), reply, milliseconds

    def say_answer(self):
        answer, reply, milliseconds = self.answer()
        ttl = reply.answer[0].ttl if reply is not None and reply.answer else "-"
        say(f"   {NAME} A  ->  {self.names_of(answer)}   TTL {ttl}, {milliseconds:.1f} ms")
        return answer

    def table(self):
        """Lines: every candidate, with what hard's data file says of it."""
        rows = self.world.candidates()
        yield paint("2", f"   {'':3}{'candidate':28}{'address':13}{'tier':>4}  {'state':8}{'RTT':>8}  {'last check':24}")
        for number, server in enumerate(self.world.servers, 1):
            row = rows.get(server.address)
            state = row["state"] if row else "?"
            colour = {"up": "32", "down": "31"}.get(state, "33")
            rtt = f"{row['response_time'] / 1000:.1f} ms" if row and row["response_time"] else "-"
            last = (row["last_check_status"] or "-") if row else "-"
            mark = "<-- answered" if row and row["chosen"] else ""
            yield (f"   {number}  {server.title:28}{server.address:13}{server.tier:>4}  {paint(colour, f'{state:8}')}{rtt:>8}"
                   f"  {last[:23]:24}{mark}")

    def say_table(self):
        for line in self.table():
            say(line)

    # ---- what it does

    def until(self, is_wanted, within):
        """Asks every 20 ms; the seconds until an answer was as wanted, or None. Tells every other answer on the way."""
        start = time.monotonic()
        last = None
        while time.monotonic() - start < within:
            answer, _, _ = self.answer()
            took = time.monotonic() - start
            if answer != last and last is not None:
                say(f"   after {took:4.1f} s  ->  {self.names_of(answer)}")
            last = answer
            if is_wanted(answer):
                return took
            time.sleep(0.02)
        return None

    def until_file_says(self, is_wanted, within=5.0):
        """hard's data file follows what hard knows by less than a second."""
        end = time.monotonic() + within
        while not (is_so := is_wanted(self.world.candidates())) and time.monotonic() < end:
            time.sleep(0.05)
        return is_so

    def run(self):
        world = self.world
        title("four web servers, each a process of its own, and hard in front of them")
        world.start_servers()
        took = world.start_hard()
        say(f"   hard listens on {LISTEN} port {world.port}; its configuration is conf/demo.conf")
        self.check(took < 3, f"ready after {took:.1f} s: every server has been checked once")
        self.check(self.until_file_says(
            lambda rows: len(rows) == 4 and all(row["state"] == "up" and row["response_time"] for row in rows.values())),
            "all four are up, says hard's data file (sqlite3, table candidates):")
        self.say_table()

        title("a query for the name is answered by hard itself, with the nearest server that is up")
        self.check(self.say_answer() == ["127.53.0.1"], "the nearest one")
        reply, _ = world.ask(kind="AAAA")
        self.check(reply is not None and reply.rcode() == 0 and not reply.answer and len(reply.authority) == 1,
                   f"{NAME} AAAA  ->  no such data: nobody is sent to a family without servers")
        reply, milliseconds = world.ask("something-else.example.")
        self.check(addresses(reply) == [Upstream.ADDRESS],
                   f"something-else.example. A  ->  {', '.join(addresses(reply)) or 'nothing'}: not ours, so this is the "
                   f"upstream's answer, {milliseconds:.1f} ms")

        first, second, third, far = world.servers
        self.stop_one(first, second, "kill the one that is answered")
        self.stop_one(second, third, "kill the next")
        self.stop_one(third, far, "kill the last one of this region: only now the other region is answered")
        self.stop_all(far)
        self.bring_back(first)

        title("in sum")
        self.check(self.unanswered == 0, f"{self.queries} queries asked meanwhile, {self.unanswered} without an answer")

    def stop_one(self, server, successor, what):
        title(f"{what}: kill -9 {server.process.pid} ({server.title})")
        server.kill()
        took = self.until(lambda answer: answer == [successor.address], within=8)
        self.check(took is not None and took <= REFUSED_BOUND,
                   f"the answer moved to {self.who(successor.address)} "
                   + (f"after {took:.2f} s (at most {REFUSED_BOUND} s)" if took is not None else "never"))
        self.say_answer()

    def stop_all(self, last):
        title(f"kill the last one of all: kill -9 {last.process.pid} ({last.title})")
        last.kill()
        took = self.until(lambda answer: len(answer) > 1, within=8)
        self.check(took is not None and took <= REFUSED_BOUND,
                   "none is up: all are answered, the last to succeed first (failure_mode = all), "
                   + (f"after {took:.2f} s" if took is not None else "never"))
        answer = self.say_answer()
        self.check(answer[:1] == [last.address] and len(answer) == 4, "a client has something to try, in the best order")
        self.until_file_says(lambda rows: all(row["state"] == "down" for row in rows.values()))
        self.say_table()

    def bring_back(self, best):
        title("start all of them again")
        for server in self.world.servers:
            server.start()
        for server in self.world.servers:
            server.wait_ready()
        took = self.until(lambda answer: answer == [best.address], within=40)
        self.check(took is not None and took <= RETURN_BOUND,
                   "the nearest is answered again "
                   + (f"after {took:.1f} s (at most {RETURN_BOUND:.0f} s)" if took is not None else "never"))
        self.until_file_says(lambda rows: all(row["state"] == "up" for row in rows.values()))
        self.say_table()

    # ---- with a terminal: stays, and keys stop and start servers

    def stay(self):
        title("yours: keys 1 to 4 stop and start a server, q ends")
        say()
        before = termios.tcgetattr(sys.stdin)
        height = 0
        message = ""
        try:
            tty.setcbreak(sys.stdin)
            while True:
                answer, _, milliseconds = self.answer()
                lines = [*self.table(), "", f"   {NAME} A  ->  {self.names_of(answer)}   {milliseconds:.1f} ms", f"   {message}"]
                sys.stdout.write((f"\033[{height}A" if height else "") + "".join(f"\r\033[K{line}\n" for line in lines))
                sys.stdout.flush()
                height = len(lines)
                if not select.select([sys.stdin], [], [], 0.25)[0]:
                    continue
                key = os.read(sys.stdin.fileno(), 1).decode(errors="replace")
                if key in ("q", "Q", "", "\x04"):
                    return
                if key in "1234":
                    message = self.toggle(self.world.servers[int(key) - 1])
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)

    def toggle(self, server):
        if server.is_running():
            server.kill()
            return f"{time.strftime('%X')}  stopped {server.title}"
        server.kill()  # what is left of one that ended by itself
        server.start()
        server.wait_ready()
        return f"{time.strftime('%X')}  started {server.title}"


def main():
    def interrupted(number, _):
        raise SystemExit(128 + number)

    for number in SIGNALS:
        signal.signal(number, interrupted)
    world = World()
    show = Show(world)
    try:
        show.run()
        if "--once" not in sys.argv[1:] and sys.stdin.isatty() and sys.stdout.isatty():
            show.stay()
    except RuntimeError as error:
        show.check(False, str(error))
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        if show.failures:
            say("\n   hard's log:\n" + world.log())
        world.end()
    say(f"\n{paint('1', 'demo: ' + ('all as it should be' if not show.failures else f'{show.failures} not as it should be'))}")
    return 1 if show.failures else 0


if __name__ == "__main__":
    sys.exit(main())
