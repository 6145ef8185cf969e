"""Moves 10,000 users of the origin's schema to the running dev server with `import`, from SQLite, from PostgreSQL and from MariaDB,
and signs one user of each in with the old password.

    import.py FOLDER-OF-BINARIES
"""

import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

from dev_server import ROOT, call, dev_server

USERS = 10_000
# Users that cannot be moved: two without a valid phone, and two who share a number.
WRONG = [(20_001, "not a phone"), (20_002, "01012000000"), (20_003, "+20 10-1200-0000"), (20_004, None)]
# The hash of "mypassword", by passlib with bcrypt 4.0, as the origin calls it.
BCRYPT = "$2b$12$KRFoFAaF5xtxT3yJoHFp7uWKt63swkb/nIv7Tt2fF6BCZxN4LsW7K"
COLUMNS = "id INTEGER NOT NULL, phone VARCHAR, hashed_password VARCHAR, otp_hash VARCHAR, PRIMARY KEY (id)"


def users(prefix):
    """Yields users as the origin has them, with phones in any form in which they were entered."""
    for number in range(USERS):
        national = f"0{prefix}{13_000_000 + number}"
        yield number + 1, (national, f"+2{national}", f"+20 {prefix}-{13_000_000 + number}")[number % 3], BCRYPT


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


class SQLite:
    prefix = "10"

    def __init__(self, folder):
        self.path = folder / "test.db"

    def __enter__(self):
        with sqlite3.connect(self.path) as database:
            database.execute(f"CREATE TABLE users ({COLUMNS})")
            database.executemany("INSERT INTO users (id, phone, hashed_password) VALUES (?, ?, ?)", users(self.prefix))
        return f"sqlite:///{self.path}"

    def add(self, rows):
        with sqlite3.connect(self.path) as database:
            rows = [(number, phone, BCRYPT) for number, phone in rows]
            database.executemany("INSERT INTO users (id, phone, hashed_password) VALUES (?, ?, ?)", rows)

    def __exit__(self, *_):
        pass


class PostgreSQL:
    """Debian's PostgreSQL, with a folder and a port of its own."""

    prefix = "11"

    def __init__(self, folder):
        self.folder = folder / "postgresql"
        binaries = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        if not binaries:
            sys.exit("PostgreSQL is not installed: apt-get install postgresql")
        self.binaries = binaries[-1]
        self.port = free_port()

    def run(self, program, *arguments, **options):
        # PostgreSQL refuses to run as root.
        user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*user, self.binaries / program, *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", text=True, **options)

    def __enter__(self):
        self.folder.mkdir()
        if os.geteuid() == 0:
            # PostgreSQL's user must reach its folder, and nothing else there.
            self.folder.parent.chmod(0o711)
            shutil.chown(self.folder, "postgres")
        data = self.folder / "data"
        self.run("initdb", "--pgdata", data, "--auth", "trust", "--username", "origin")
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self.run("pg_ctl", "start", "--wait", "-D", data, "-o", options, "-l", self.folder / "log")
        rows = "".join("\t".join(map(str, row)) + "\n" for row in users(self.prefix))
        self.sql(f"CREATE TABLE users ({COLUMNS});\nCOPY users (id, phone, hashed_password) FROM stdin;\n{rows}\\.\n")
        return f"postgresql+psycopg2://origin@127.0.0.1:{self.port}/postgres"

    def sql(self, script):
        connection = ["-h", "127.0.0.1", "-p", self.port, "-U", "origin", "-v", "ON_ERROR_STOP=1", "postgres"]
        self.run("psql", *connection, input=script)

    def __exit__(self, *_):
        self.run("pg_ctl", "stop", "-D", self.folder / "data", "-m", "immediate")


class MariaDB:
    """Debian's MariaDB, for the MySQL URLs, with a folder and a port of its own."""

    prefix = "12"

    def __init__(self, folder):
        self.folder = folder / "mariadb"
        self.socket = self.folder / "socket"
        self.port = free_port()

    def __enter__(self):
        self.folder.mkdir()
        as_user = []
        if os.geteuid() == 0:
            self.folder.parent.chmod(0o711)
            shutil.chown(self.folder, "mysql")
            as_user = ["--user=mysql"]
        data = self.folder / "data"
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
        subprocess.run([*install, *as_user], check=True, stdout=subprocess.DEVNULL)
        options = [f"--datadir={data}", f"--socket={self.socket}", f"--port={self.port}", "--bind-address=127.0.0.1"]
        with open(self.folder / "log", "w") as log:
            self.server = subprocess.Popen(["mariadbd", "--no-defaults", *options, *as_user], stdout=log, stderr=log)
        for _ in range(300):
            if subprocess.run([*self.client("mariadb-admin"), "ping"], capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        # A text has a length here, as SQLAlchemy requires for MySQL. Old versions of MySQL allow no longer one in a key.
        columns = COLUMNS.replace("VARCHAR", "VARCHAR(191)")
        values = ",".join("({}, '{}', '{}')".format(*row) for row in users(self.prefix))
        script = f"CREATE DATABASE origin; USE origin; CREATE TABLE users ({columns});\n"
        script += "CREATE USER origin@localhost IDENTIFIED BY 'pass-in-url'; GRANT SELECT ON origin.* TO origin@localhost;\n"
        script += f"INSERT INTO users (id, phone, hashed_password) VALUES {values};\n"
        subprocess.run(self.client("mariadb"), check=True, input=script, text=True)
        return f"mysql+pymysql://origin:pass-in-url@127.0.0.1:{self.port}/origin"

    def client(self, program):
        return [program, "--no-defaults", f"--socket={self.socket}", "--user=root"]

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait()


def main(folder):
    binary = pathlib.Path(folder).resolve() / "import"
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        data, report = scratch / "data", scratch / "left-out.csv"

        def run(source, *options):
            command = [binary, "--from", source, "--data", data, "--report", report, *options]
            started = time.monotonic()
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
            return done.returncode, done.stdout, done.stderr, time.monotonic() - started

        with dev_server("--data", data) as url:
            for database in (SQLite(scratch), PostgreSQL(scratch), MariaDB(scratch)):
                with database as source:
                    code, said, errors, took = run(source)
                    assert code == 0 and f"Moved: {USERS}," in said, said + errors
                    number = 4_321
                    old = {"phone": f"0{database.prefix}{13_000_000 + number - 1}", "password": "mypassword"}
                    token = call(f"{url}/auth/login", old)["access_token"]
                    assert call(f"{url}/auth/me", token=token)["legacy_id"] == number, "the old identifier is lost"
                    print(f"{type(database).__name__}: {USERS} users in {took:.1f} s, and one signs in", flush=True)
                    if isinstance(database, SQLite):
                        # If some users cannot be moved, nothing is written without --leave-out.
                        database.add([*WRONG, (20_005, "01012000005")])
                        code, said, errors, _ = run(source)
                        assert code == 1 and "Nothing was written" in said, said + errors
                        assert report.read_text().count("\n") == 1 + len(WRONG)
                        code, said, errors, _ = run(source, "--leave-out")
                        assert code == 0 and "Moved: 1," in said and f"from before: {USERS}." in said, said + errors


main(*sys.argv[1:])
