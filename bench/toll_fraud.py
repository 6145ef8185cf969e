"""Somebody who earns by our messages (SMS pumping): tries to have 1,000 codes sent, from 50 addresses to 200 numbers of one country,
by registering them where phones have to be activated, under the default budgets. Prints how many messages got out, and what
stopped the others.

    python3 bench/toll_fraud.py

Needs nothing but Python, and a machine that has all of 127.0.0.0/8, as Linux does. The requests are bounded: 1,000, one at a time.
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
        # No address is one that the server's own user has.
        connections = [connect(address, f"127.0.1.{at + 1}") for at in range(ADDRESSES)]
        for at in range(CODES):
            body = {"phone": f"+2010123{at % NUMBERS:05}", "password": "a long password"}
            status, answer = send(connections[at % ADDRESSES], "POST", "/auth/register", body)
            answers[status] += 1
            if status == 429:
                buckets[answer["bucket"]] += 1
        took = time.monotonic() - started
    print(f"{CODES} codes asked for, from {ADDRESSES} addresses for {NUMBERS} numbers, in {took:.0f} s")
    print(f"  messages that got out   {len(sent)}, to {len(set(sent))} numbers")
    print(f"  answers                 {dict(answers)}")
    print(f"  refused by              {dict(buckets)}")


main()
