"""Plays an attacker who earns from our messages (SMS pumping): requests 1,000 codes from 50 addresses for 200 numbers of one country,
by registering them while phones have to be activated, under the default budgets. Prints how many messages were sent, and what
refused the others.

    python3 bench/toll_fraud.py

Needs nothing but Python, and a machine that has all of 127.0.0.0/8, as Linux does. Sends 1,000 requests, one at a time.
"""

import collections
import time

from dev_server import connect, dev_server, send

CODES, ADDRESSES, NUMBERS = 1_000, 50, 200


def main():
    sent = []
    answers, buckets = collections.Counter(), collections.Counter()
    started = time.monotonic()

    def count(line):
        if line.startswith("SMS to "):
            sent.append(line.split()[2])

    with dev_server("REQUIRE_ACTIVATION=true", each_line=count) as address:
        # None of these addresses is the one that the server's own user has.
        connections = [connect(address, f"127.0.1.{at + 1}") for at in range(ADDRESSES)]
        for at in range(CODES):
            body = {"phone": f"+2010123{at % NUMBERS:05}", "password": "a long password"}
            status, answer = send(connections[at % ADDRESSES], "POST", "/auth/register", body)
            answers[status] += 1
            if status == 429:
                buckets[answer["bucket"]] += 1
        took = time.monotonic() - started
    print(f"{CODES} codes requested from {ADDRESSES} addresses for {NUMBERS} numbers, in {took:.0f} s")
    print(f"  messages sent           {len(sent)}, to {len(set(sent))} numbers")
    print(f"  responses by status     {dict(answers)}")
    print(f"  refused by limit        {dict(buckets)}")


main()
