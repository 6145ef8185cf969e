"""Prints the TOTP code of a secret."""

import sys

import pyotp

print(pyotp.TOTP(sys.argv[1]).now())
