"""Plays attackers who lock an owner out: one guesses passwords, one spends the tries of codes to reset, one those of codes to sign in,
and one uses up the phone's messages, all without a pause and from other addresses, under the default limits. Meanwhile owners keep
trying, one for each way in. Prints how long each of them waits.

    python3 bench/lockout.py

Needs nothing but Python, and a machine that has all of 127.0.0.0/8, as Linux does. Takes about a minute.
The owner who reads a code needs two seconds for it.
"""

import collections
import concurrent.futures
import itertools
import re
import threading
import time

from dev_server import connect, dev_server, send

PASSWORD = "a long password"
# How long each attack goes on beside the owners, in seconds, and before they begin; and how long an owner reads a message.
LASTS, ALONE, READS = 6, 5, 2
# The messages of a day to a phone: ten to reset, and ten to sign in.
MESSAGES = 20
ADDRESSES = 4
AS_LONG = "as long as the attack"


class Attack:
    """Takes steps against these phones from several addresses until the block ends. Counts what the attacker is told."""

    def __init__(self, address, step, phones, alone):
        self.address, self.step, self.phones, self.alone = address, step, phones, alone
        self.answers, self.ends = collections.Counter(), threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(at,)) for at in range(ADDRESSES)]

    def run(self, at):
        connection = connect(self.address, f"127.0.2.{at + 1}")
        for number in itertools.count(at, ADDRESSES):
            for phone in self.phones:
                if self.ends.is_set():
                    return
                status, answer = self.step(connection, phone, number)
                told = answer if isinstance(answer, dict) else {}
                self.answers[told.get("bucket", told.get("code", status))] += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.alone()
        return self

    def __exit__(self, *_):
        self.ends.set()
        for thread in self.threads:
            thread.join()


class Owner:
    """The owner of an account, on a device without a session unless a token is given, with the phone at hand."""

    def __init__(self, address, phone, at, messages):
        self.connection, self.phone, self.messages = connect(address, f"127.0.3.{at + 1}"), phone, messages
        self.post("/auth/register", phone=phone, password=PASSWORD)
        self.token = self.post("/auth/login", phone=phone, password=PASSWORD)[1]["access_token"]

    def post(self, path, token=None, **body):
        return send(self.connection, "POST", path, body, token)

    def code(self, path):
        """Asks for a code. Returns the answer, and the code if a message arrives within a second."""
        seen, until = len(self.messages[self.phone]), time.monotonic() + 1
        status, answer = self.post(path, phone=self.phone)
        while status == 202 and time.monotonic() < until:
            if len(self.messages[self.phone]) > seen:
                # The attacker goes on while the owner reads the message.
                time.sleep(READS)
                return answer, self.messages[self.phone][-1]
            time.sleep(0.005)
        return answer, None

    def in_session(self):
        return self.post("/auth/step-up", self.token, password=PASSWORD)[0] == 200

    def by_password(self):
        return self.post("/auth/login", phone=self.phone, password=PASSWORD)[0] == 200

    def by_challenge(self):
        answer, otp = self.code("/auth/request-reset")
        body = {"challenge": answer.get("challenge"), "otp": otp, "new_password": PASSWORD}
        return otp is not None and self.post("/auth/verify-reset", **body)[0] == 204

    def by_phone(self):
        _, otp = self.code("/auth/request-reset")
        body = {"phone": self.phone, "otp": otp, "new_password": PASSWORD}
        return otp is not None and self.post("/auth/verify-reset", **body)[0] == 204

    def by_code(self):
        answer, otp = self.code("/auth/code")
        return otp is not None and self.post("/auth/code/verify", challenge=answer["challenge"], otp=otp)[0] == 200


def waits(way):
    """Tries a way in until it works or the attack has lasted long enough. Returns the seconds, or none."""
    started = time.monotonic()
    while time.monotonic() - started < LASTS:
        if way():
            return time.monotonic() - started
        time.sleep(0.1)
    return None


def guess_passwords(connection, phone, number):
    return send(connection, "POST", "/auth/login", {"phone": phone, "password": f"wrong password {number}"})


def spend_reset_codes(connection, phone, number):
    """Names the phone, so that each try meets the owner's codes."""
    body = {"phone": phone, "otp": f"{number % 1_000_000:06}", "new_password": PASSWORD}
    return send(connection, "POST", "/auth/verify-reset", body)


class SpendSignInCodes:
    """Guesses at a challenge of the attacker's own. It asks for one only, so that messages are left to the owner."""

    def __init__(self):
        self.challenges = {}
        self.lock = threading.Lock()

    def __call__(self, connection, phone, number):
        with self.lock:
            if phone not in self.challenges:
                self.challenges[phone] = send(connection, "POST", "/auth/code", {"phone": phone})[1].get("challenge")
        body = {"challenge": self.challenges[phone], "otp": f"{number % 1_000_000:06}"}
        return send(connection, "POST", "/auth/code/verify", body)


def use_up_messages(connection, phone, number):
    path = ["/auth/request-reset", "/auth/code"][number // ADDRESSES % 2]
    return send(connection, "POST", path, {"phone": phone})


def play(name, step, *ways, until_used_up=False):
    """Plays one attack against one owner for each way in, and prints how long each owner waits."""
    messages = collections.defaultdict(list)

    def read(line):
        found = re.search(r"^SMS to \+2(\d+): .*?(\d{6})", line)
        if found:
            messages[found[1]].append(found[2])

    def alone():
        time.sleep(ALONE)
        until = time.monotonic() + 20
        while until_used_up and time.monotonic() < until and min(len(messages[owner.phone]) for owner in owners) < MESSAGES:
            time.sleep(0.1)

    with dev_server("OTP_EXPOSE=false", each_line=read) as address:
        owners = [Owner(address, f"0101234567{at}", at, messages) for at in range(len(ways))]
        with Attack(address, step, [owner.phone for owner in owners], alone) as attack:
            with concurrent.futures.ThreadPoolExecutor() as pool:
                tries = [lambda way=way, owner=owner: getattr(owner, way)() for owner, (_, way, _) in zip(owners, ways)]
                took = list(pool.map(waits, tries))
    told = ", ".join(f"{count} {answer}" for answer, count in attack.answers.most_common(3))
    print(f"The attacker {name}, and is told {told}:")
    for (way, _, otherwise), seconds in zip(ways, took):
        print(f"  {way:30} {otherwise if seconds is None else f'{seconds:.1f} s'}")


def main():
    started = time.monotonic()
    midnight = (86_400 - time.time() % 86_400) / 3_600
    no_message = f"until the next day (UTC): {midnight:.1f} h now, 24 h at worst"
    session = ("password, in a live session", "in_session", AS_LONG)
    password = ("password", "by_password", AS_LONG)
    challenge = ("reset with the challenge", "by_challenge", AS_LONG)
    phone = ("reset with the phone", "by_phone", AS_LONG)
    code = ("code to sign in", "by_code", AS_LONG)
    play("guesses passwords", guess_passwords, session, password, challenge, code)
    play("spends the tries of resets", spend_reset_codes, session, password, challenge, phone, code)
    play("spends the tries of a sign-in", SpendSignInCodes(), session, password, challenge, code)
    without = [(way, method, no_message) for way, method, _ in [challenge, code]]
    play("uses up the phone's messages", use_up_messages, session, password, *without, until_used_up=True)
    print(f"In {time.monotonic() - started:.0f} s.")


main()
