"""Computes an argon2id hash for each line that it reads, and writes an empty line after each: for `bench hash`.

Usage: hash.py libargon2|libsodium PASSES KIB. It writes a line when it is ready. The sizes of salt and hash are the service's."""

import sys

PASSWORD = b"mypassword"
SALT = b"sixteen bytes ok"
LENGTH = 32


def hasher(library, passes, kib):
    """Returns a function that computes one hash, with one lane."""
    if library == "libargon2":
        from argon2.low_level import Type, hash_secret_raw

        return lambda: hash_secret_raw(PASSWORD, SALT, passes, kib, 1, LENGTH, Type.ID)
    from nacl.pwhash import argon2id

    return lambda: argon2id.kdf(LENGTH, PASSWORD, SALT, opslimit=passes, memlimit=kib * 1024)


compute = hasher(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
print(flush=True)
for _ in sys.stdin:
    compute()
    print(flush=True)
