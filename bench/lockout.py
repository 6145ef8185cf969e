"""Plays attackers who lock an owner out, under the template's limits and without a pause: one guesses passwords, one spends the tries of
codes to reset, one those of codes to sign in, and one uses up the phone's messages, all from other addresses; and one guesses at other
phones from the owners' address, as a neighbor behind a carrier's NAT can. Meanwhile owners, whose phones were verified before, keep
trying, one for each way in. Prints how long each of them waits. An owner on a known device sends the `device_token` of an earlier
sign-in. Fails if one of those with the password, or one in a live session, does not succeed at once.

    python3 bench/lockout.py

Needs nothing but Python, and a machine that has all of 127.0.0.0/8, as Linux does. Takes two minutes.
The owner who reads a code needs two seconds for it.
"""

import collections
import concurrent.futures
import itertools
import random
import re
import sys
import threading
import time

from dev_server import connect, default_limits, dev_server, send

PASSWORD = "a long password"
# How long each attack goes on beside the owners, in seconds, and before they begin; and how long an owner reads a message.
LASTS, ALONE, READS = 6, 5, 2
# The messages of a day to a phone: ten to reset, and ten to sign in.
MESSAGES = 20
ADDRESSES = 4
# The address of the owners who share it with the attacker.
SHARED = "127.0.4.1"
AS_LONG = "as long as the attack"
# Who must not wait, and who did.
NEVER_WAIT, late = ["in_session", "on_known_device"], []


class Attack:
    """Takes steps against these phones from several addresses until the block ends. Counts what the attacker is told."""

    def __init__(self, address, step, phones, alone, is_neighbor):
        self.address, self.step, self.phones, self.alone, self.is_neighbor = address, step, phones, alone, is_neighbor
        self.answers, self.ends = collections.Counter(), threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(at,)) for at in range(ADDRESSES)]

    def run(self, at):
        connection = connect(self.address, SHARED if self.is_neighbor else f"127.0.2.{at + 1}")
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
        try:
            self.alone(self)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.ends.set()
        for thread in self.threads:
            thread.join()


class Owner:
    """The owner of an account, on a device without a session unless a token is given, with the phone at hand."""

    def __init__(self, address, source, phone, messages):
        self.connection, self.phone, self.messages = connect(address, source), phone, messages
        self.post("/auth/register", phone=phone, password=PASSWORD)
        tokens = self.post("/auth/login", phone=phone, password=PASSWORD)[1]
        self.token, self.device_token = tokens["access_token"], tokens["device_token"]
        self.verify()

    def verify(self):
        """Verifies the phone, and forgets that message."""
        self.post("/auth/verify-phone", self.token)
        until = time.monotonic() + 3
        while not self.messages[self.phone] and time.monotonic() < until:
            time.sleep(0.005)
        status, _ = self.post("/auth/verify-phone/confirm", self.token, otp=self.messages[self.phone].pop())
        assert status == 204, f"the phone was not verified: {status}"

    def post(self, path, token=None, **body):
        return send(self.connection, "POST", path, body, token)

    def code(self, path, **extra):
        """Asks for a code. Returns the answer, and the code if a message arrives within a second."""
        seen, until = len(self.messages[self.phone]), time.monotonic() + 1
        status, answer = self.post(path, phone=self.phone, **extra)
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

    def on_known_device(self):
        return self.post("/auth/login", phone=self.phone, password=PASSWORD, device_token=self.device_token)[0] == 200

    def by_challenge(self, **extra):
        answer, otp = self.code("/auth/request-reset", **extra)
        body = {"challenge": answer.get("challenge"), "otp": otp, "new_password": PASSWORD}
        return otp is not None and self.post("/auth/verify-reset", **body)[0] == 204

    def by_phone(self):
        _, otp = self.code("/auth/request-reset")
        body = {"phone": self.phone, "otp": otp, "new_password": PASSWORD}
        return otp is not None and self.post("/auth/verify-reset", **body)[0] == 204

    def by_code(self, **extra):
        answer, otp = self.code("/auth/code", **extra)
        return otp is not None and self.post("/auth/code/verify", challenge=answer["challenge"], otp=otp)[0] == 200

    def by_challenge_on_known_device(self):
        return self.by_challenge(device_token=self.device_token)

    def by_code_on_known_device(self):
        return self.by_code(device_token=self.device_token)


def waits(way):
    """Tries a way in until it works or the attack has lasted long enough. Returns the seconds, or none, and the number of tries."""
    started = time.monotonic()
    for tries in itertools.count(1):
        if way():
            return time.monotonic() - started, tries
        if time.monotonic() - started > LASTS:
            return None, tries
        time.sleep(0.1)


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


def guess_elsewhere(connection, _phone, number):
    """Guesses at a phone without an account, at each once, so that no limit of a phone stops it."""
    body = {"phone": f"0111{random.randrange(10_000_000):07}", "password": f"wrong password {number}"}
    return send(connection, "POST", "/auth/login", body)


def play(name, step, *ways, until=None, is_neighbor=False):
    """Plays one attack against one owner for each way in, and prints how long each owner waits. They begin after a while, or when
    the attack has brought about what `until` names."""
    messages = collections.defaultdict(list)

    def read(line):
        found = re.search(r"^SMS to \+2(\d+): .*?(\d{6})", line)
        if found:
            messages[found[1]].append(found[2])

    def has_come(attack):
        if until == "used up":
            return min(len(messages[owner.phone]) for owner in owners) >= MESSAGES
        return until is None or attack.answers[until] > 0

    def alone(attack):
        time.sleep(ALONE)
        deadline = time.monotonic() + 60
        while not has_come(attack):
            if time.monotonic() > deadline:
                sys.exit(f"after a minute the attacker has not brought about: {until}")
            time.sleep(0.1)

    # A window of tries that ended meanwhile would let the owners in.
    if is_neighbor and (left := 300 - time.time() % 300) < 90:
        time.sleep(left)
    with dev_server("OTP_EXPOSE=false", *default_limits(), each_line=read) as address:
        sources = [SHARED if is_neighbor else f"127.0.3.{at + 1}" for at in range(len(ways))]
        owners = [Owner(address, source, f"0101234567{at}", messages) for at, source in enumerate(sources)]
        with Attack(address, step, [owner.phone for owner in owners], alone, is_neighbor) as attack:
            with concurrent.futures.ThreadPoolExecutor() as pool:
                tries = [lambda way=way, owner=owner: getattr(owner, way)() for owner, (_, way, _) in zip(owners, ways)]
                took = list(pool.map(waits, tries))
    told = ", ".join(f"{count} {answer}" for answer, count in attack.answers.most_common(3))
    print(f"The attacker {name}, and is told {told}:")
    for (way, method, otherwise), (seconds, tries) in zip(ways, took):
        print(f"  {way:30} {otherwise if seconds is None else f'{seconds:.1f} s'}", flush=True)
        if method in NEVER_WAIT and (seconds is None or tries > 1):
            late.append(f"{way}, while the attacker {name}")


def main():
    started = time.monotonic()
    midnight = (86_400 - time.time() % 86_400) / 3_600
    no_message = f"until the next day (UTC): {midnight:.1f} h now, 24 h at worst"
    session = ("password, in a live session", "in_session", AS_LONG)
    password = ("password", "by_password", AS_LONG)
    known = ("password, on a known device", "on_known_device", AS_LONG)
    challenge = ("reset with the challenge", "by_challenge", AS_LONG)
    phone = ("reset with the phone", "by_phone", AS_LONG)
    code = ("code to sign in", "by_code", AS_LONG)
    play("guesses passwords", guess_passwords, session, password, known, challenge, code)
    play("spends the tries of resets", spend_reset_codes, session, password, known, challenge, phone, code)
    play("spends the tries of a sign-in", SpendSignInCodes(), session, password, known, challenge, code)
    without = [(way, method, no_message) for way, method, _ in [challenge, code]]
    # A known device has messages of its own (bucket `messages-device`).
    without.append(("reset, on a known device", "by_challenge_on_known_device", AS_LONG))
    without.append(("code, on a known device", "by_code_on_known_device", AS_LONG))
    play("uses up the phone's messages", use_up_messages, session, password, known, *without, until="used up")
    window = "until a window of five minutes ends, in each of them"
    stopped = [(way, method, window) for way, method, _ in [session, password, known, code]]
    play("guesses at others from the owners' address", guess_elsewhere, *stopped, until="login-address", is_neighbor=True)
    if late:
        sys.exit(f"owners waited: {'; '.join(late)}")
    print(f"In {time.monotonic() - started:.0f} s.")


main()
