"""Plays attackers who earn from our messages (SMS pumping): strangers flood every endpoint that sends some, from 9, 50 and 500
addresses, for phones of 1 and of 30 countries, under the template's limits and with activation, as in production. Meanwhile 200 users
whose phones were verified before ask for a code each. Prints what the strangers are answered, how many messages get out to them, and
how many of the users get their codes. Fails if a user with an address of their own gets none, or if more gets out than the limits say.

    python3 bench/toll_fraud.py

Needs nothing but Python, and a machine that has all of 127.0.0.0/8, as Linux does. Takes three minutes, and six on a busy machine.
The strangers do not ask for codes to the users' phones: `bench/lockout.py` plays those. Neither API Gateway's rates are played, nor
transactions that conflict: the dev server's table does one after the other.
"""

import collections
import concurrent.futures
import itertools
import json
import math
import pathlib
import random
import re
import shutil
import sys
import tempfile
import threading
import time

from dev_server import connect, default_limits, dev_server, send

# The beginnings of mobile numbers by country, to which five digits are added.
COUNTRIES = dict(
    pair.split()
    for pair in (
        "EG +2010123,UZ +9989012,DE +49151123,FR +336123,GB +4474001,IT +3931234,ES +346123,TR +9050123,IN +9181234,PK +9230123,"
        "BD +88018123,ID +62812345,PH +6390512,VN +849123,TH +668123,MY +601234,NG +23480212,KE +2547121,ZA +277112,MA +2126501,"
        "DZ +2135512,SA +9665123,AE +9715012,JO +9627901,UA +3805012,PL +485123,RO +407120,BR +55119612,CO +5732112,TN +216201"
    ).split(",")
)
USERS, OUTSIDERS, ACCOUNTS = 200, 120, 30
# What the strangers ask for: path and share.
MIX = {
    "/auth/code": 50,
    "/auth/request-reset": 15,
    "/auth/register": 12,
    "/auth/code/resend": 6,
    "/auth/resend-activation": 5,
    "/auth/change-phone": 4,
    "/auth/verify-phone": 4,
    "/auth/recover": 2,
    "/auth/start-anew": 2,
}
WORKERS = 6
# What the messages of a kind are charged to: resets and sign-ins by code have pots of their own, everything else shares one.
POTS = {"sign-in": "sign-in", "reset": "reset"}
PASSWORD, OTP = "a long password", "424242"
VARIABLES = ["JWT_ISSUER=http://latchkey.test", "OTP_EXPOSE=false"]
LIMITS = {name: int(value) for name, value in (limit.split("=") for limit in default_limits())}
OWN, SHARED, THEIRS = "their own addresses", "one shared address", "the strangers' addresses"


def phone_of(countries, at, block):
    """Returns the phone with this number: of the next country each time. Blocks of 10,000 keep groups of phones apart."""
    names = list(COUNTRIES)[:countries]
    return f"{COUNTRIES[names[at % countries]]}{block}{at // countries:04}"


def country_of(phone):
    return next(name for name, start in COUNTRIES.items() if phone.startswith(start))


class Inbox(threading.Thread):
    """Reads the messages that the server would have sent, by phone, until it is told to stop."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.connection, self.seen, self.ends = connect(address), 0, threading.Event()
        self.messages = collections.defaultdict(list)
        self.start()

    def run(self):
        while not self.ends.wait(0.05):
            self.read()
        self.read()

    def read(self):
        self.connection.request("GET", f"/dev/messages?after={self.seen}", headers={"Accept": "application/json"})
        with self.connection.getresponse() as answer:
            found = json.loads(answer.read())
        assert len(found["messages"]) == found["total"] - self.seen, "messages were dropped before they were read"
        self.seen = found["total"]
        for message in found["messages"]:
            self.messages[message["to"]].append((message["about"], message["text"]))

    def stop(self):
        self.ends.set()
        self.join()


class Seeds:
    """A folder of data with 200 users whose phones a code has verified, and with the strangers' accounts, whose phones none has.
    The users sign up by code as test numbers, so that no budget is charged."""

    def __init__(self, folder, countries):
        self.folder, self.countries = pathlib.Path(folder) / f"of-{countries}", countries
        self.users = [phone_of(countries, at, 1) for at in range(USERS)]
        self.outsiders = [phone_of(countries, at, 2) for at in range(OUTSIDERS)]
        numbers = ",".join(f"{phone}={OTP}" for phone in self.users)
        limits = ["LIMIT_REGISTER_PER_ADDRESS=100000", f"TEST_NUMBERS={numbers}", "REQUIRE_ACTIVATION=false"]
        with dev_server(*VARIABLES, *limits, folder=self.folder) as address:
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda at: self.verify(connect(address), self.users[at::2]), range(2)))
                self.tokens = sum(pool.map(lambda at: self.register(connect(address), self.outsiders[at::2]), range(2)), [])

    def verify(self, connection, phones):
        for phone in phones:
            challenge = send(connection, "POST", "/auth/code", {"phone": phone})[1]["challenge"]
            tokens = send(connection, "POST", "/auth/code/verify", {"challenge": challenge, "otp": OTP})[1]
            account = send(connection, "GET", "/auth/me", token=tokens["access_token"])[1]
            assert account["phone_verified"], f"{country_of(phone)}: not verified"

    def register(self, connection, phones):
        """Registers these phones. Returns the tokens of the first sessions: only some need one."""
        tokens = []
        for at, phone in enumerate(phones):
            body = {"phone": phone, "password": PASSWORD}
            status, _ = send(connection, "POST", "/auth/register", body)
            assert status == 201, f"{country_of(phone)}: {status}"
            if at < ACCOUNTS // 2:
                tokens.append(send(connection, "POST", "/auth/login", body)[1]["access_token"])
        return tokens


class Stranger:
    """An address of the strangers, with what it was given."""

    def __init__(self, address, at, seeds):
        self.connection, self.at, self.seeds = connect(address, f"127.2.{at // 250}.{at % 250 + 1}"), at, seeds
        self.challenges, self.activations = [], []
        # No address may ask for phones of more countries than these, so the attacker's ask for no others.
        names = min(seeds.countries, LIMITS["LIMIT_COUNTRIES_PER_ADDRESS"])
        self.countries = [(at * names + offset) % seeds.countries for offset in range(names)]

    def new_phone(self, number):
        country = self.countries[number % len(self.countries)]
        return phone_of(self.seeds.countries, (number % 9_999) * self.seeds.countries + country, 3 + number // 9_999)

    def ask(self, path, number):
        """Sends a request. Returns the status, and the bucket or the code of the problem."""
        phone, token = self.new_phone(number), None
        if path == "/auth/code/resend" and not self.challenges:
            path = "/auth/code"
        if path == "/auth/resend-activation" and not self.activations:
            path = "/auth/register"
        body = {"phone": phone}
        if path == "/auth/request-reset":
            body = {"phone": self.seeds.outsiders[number % OUTSIDERS]}
        elif path in ("/auth/register", "/auth/recover"):
            body["password"] = PASSWORD
        elif path == "/auth/code/resend":
            body = {"challenge": self.challenges[-1]}
        elif path == "/auth/resend-activation":
            body = {"activation_id": self.activations[-1]}
        elif path == "/auth/start-anew":
            body = {"mfa_token": "a.b.c"}
        elif path in ("/auth/change-phone", "/auth/verify-phone"):
            token = self.seeds.tokens[self.at % len(self.seeds.tokens)]
            body = body | {"password": PASSWORD} if path == "/auth/change-phone" else {}
        status, answer = send(self.connection, "POST", path, body, token)
        told = answer if isinstance(answer, dict) else {}
        if status == 202 and path == "/auth/code":
            self.challenges.append(told["challenge"])
        if status == 202 and path == "/auth/register":
            self.activations.append(told["activation_id"])
        return path, (status, told.get("bucket") or told.get("code") or "")


class Flood:
    """Plays one flood, and the users during it."""

    def __init__(self, seeds, addresses, where):
        self.seeds, self.addresses, self.where = seeds, addresses, where
        # Enough to use up a pot: that of the country, what nine addresses may ask for, or that of all countries.
        self.requests = 1_200 if seeds.countries == 1 or addresses < 50 else 2_500
        self.done, self.answers, self.withheld = itertools.count(), collections.Counter(), collections.Counter()
        self.progress, self.outcomes, self.tries = 0, [], collections.Counter()

    def play(self, folder):
        # A window of an hour that began meanwhile would let twice as much out.
        if (left := 3_600 - time.time() % 3_600) < 90:
            time.sleep(left)
        data = pathlib.Path(folder) / "scenario"
        shutil.copytree(self.seeds.folder, data)
        log = {"RUST_LOG": "latchkey::events=info"}
        variables = VARIABLES + default_limits() + ["REQUIRE_ACTIVATION=true"]
        with dev_server(*variables, folder=data, environment=log, logs=True, each_line=self.read) as address:
            self.address, self.inbox = address, Inbox(address)
            started = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(WORKERS + 2) as pool:
                tasks = [pool.submit(self.flood, at) for at in range(WORKERS)] + [pool.submit(self.ask, at) for at in range(2)]
            for task in tasks:
                task.result()
            self.took = time.monotonic() - started
            self.inbox.stop()
        shutil.rmtree(data)
        return self.report()

    def read(self, line):
        if "message-withheld" in line and (found := re.search(r'bucket="?([a-z-]+)', line)):
            self.withheld[found[1]] += 1

    def flood(self, worker):
        strangers = [Stranger(self.address, at, self.seeds) for at in range(worker, self.addresses, WORKERS)]
        paths = random.Random(worker)
        for turn, number in enumerate(range(worker, self.requests, WORKERS)):
            [path] = paths.choices(list(MIX), MIX.values())
            self.answers[strangers[turn % len(strangers)].ask(path, number)] += 1
            self.progress = max(self.progress, next(self.done))

    def ask(self, half):
        """Lets half of the users ask, spread over the second half of the flood, when its budgets are used up."""
        for at in range(half, USERS, 2):
            while self.progress < self.requests * (0.5 + 0.45 * at / USERS):
                time.sleep(0.01)
            self.outcomes.append(self.ask_for_code(at))

    def ask_for_code(self, at):
        """Lets a user ask for a code: for a sign-in, which is completed, or for a reset. A user who is told to try again later does
        so once. Returns what each request was answered, and whether the code came."""
        sources = {OWN: f"127.1.0.{at + 1}", SHARED: "127.1.1.1", THEIRS: f"127.2.0.{at % min(self.addresses, 250) + 1}"}
        connection, phone = connect(self.address, sources[self.where]), self.seeds.users[at]
        path, about = [("/auth/code", "sign-in"), ("/auth/request-reset", "reset")][at % 2]
        told = []
        for _ in range(2):
            status, answer = send(connection, "POST", path, {"phone": phone})
            told.append(answer.get("bucket") or answer.get("code") or status)
            if status == 202:
                break
            time.sleep(1.1)
        until = time.monotonic() + 3
        while status == 202 and time.monotonic() < until:
            codes = [re.search(r"\d{6}", text)[0] for kind, text in self.inbox.messages[phone] if kind == about]
            if codes:
                if path == "/auth/code":
                    body = {"challenge": answer["challenge"], "otp": codes[-1]}
                    status, answer = send(connection, "POST", "/auth/code/verify", body)
                    if status != 200:
                        return [*told, f"code/verify {answer.get('bucket') or answer.get('code') or status}"], False
                return told, True
            time.sleep(0.02)
        return told, False

    def report(self):
        sent, most = collections.Counter(), collections.Counter()
        for phone, messages in self.inbox.messages.items():
            if phone not in self.seeds.users:
                for about, _ in messages:
                    sent[about] += 1
                    most[POTS.get(about, "others"), country_of(phone)] += 1
        countries = self.seeds.countries
        got = sum(came for _, came in self.outcomes)
        at_once = sum(came and len(told) == 1 for told, came in self.outcomes)
        missed = collections.Counter(" then ".join(map(str, told)) for told, came in self.outcomes if not came)
        of_hour = {name: math.ceil(LIMITS[f"LIMIT_MESSAGES_{name}"] / 6) for name in ("PER_COUNTRY", "TOTAL")}
        # Each of the three pots: what countries may have, what all may have, and what the addresses and accounts may ask for.
        asked = self.addresses * LIMITS["LIMIT_MESSAGES_PER_ADDRESS"]
        in_sessions = ACCOUNTS * 2 * LIMITS["LIMIT_MESSAGES_PER_PHONE"]
        pots = min(countries * of_hour["PER_COUNTRY"], of_hour["TOTAL"])
        bound = 2 * min(pots, asked) + min(pots, asked + in_sessions)

        print(f"\n{countries} {'country' if countries == 1 else 'countries'}, {self.addresses} addresses; "
              f"users at {self.where}; {self.requests:,} requests of strangers in {self.took:.0f} s")
        for path in MIX:
            told = {key: count for (asked_for, key), count in self.answers.items() if asked_for == path}
            listed = ", ".join(f"{count} {status} {why}".strip() for (status, why), count in sorted(told.items()))
            print(f"  {path:24} {sum(told.values()):5}: {listed}")
        print(f"  withheld behind a 202    {sum(self.withheld.values()):5}: {listing(self.withheld)}")
        print(f"  messages to strangers    {sum(sent.values()):5}: {listing(sent)}; at most {bound:,}")
        print(f"  most of a pot, a country {max(most.values(), default=0):5}: at most {of_hour['PER_COUNTRY']}")
        others = f"; the others were answered {listing(missed)}" if missed else ""
        print(f"  users with their codes   {got:5} of {USERS}, {at_once} by their first request{others}", flush=True)
        within = sum(sent.values()) <= bound and max(most.values(), default=0) <= of_hour["PER_COUNTRY"]
        return (countries, self.addresses, self.where, sum(sent.values()), bound, got, at_once, within)


def listing(counts):
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"


def main():
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for countries in (1, len(COUNTRIES)):
            seeds = Seeds(folder, countries)
            if countries == 1:
                print(f"Users and accounts made in {time.monotonic() - started:.0f} s.")
            rows += [Flood(seeds, addresses, OWN).play(folder) for addresses in (9, 50, 500)]
            if countries == 1:
                rows += [Flood(seeds, 50, where).play(folder) for where in (SHARED, THEIRS)]
    print("\ncountries  addresses  sent to strangers  at most  users with codes  at once  users at")
    for countries, addresses, where, sent, bound, got, at_once, _ in rows:
        print(f"{countries:9} {addresses:10} {sent:18,} {bound:8,} {got:10} of {USERS} {at_once:8}  {where}")
    print(f"In {time.monotonic() - started:.0f} s.")
    if not all(within for *_, within in rows):
        sys.exit("more messages got out than the limits say")
    if any(where == OWN and got < USERS for _, _, where, _, _, got, _, _ in rows):
        sys.exit("a verified user with an address of their own got no code")


main()
