"""A program like the origin, for `bench peers`: phone and password with FastAPI, SQLAlchemy on SQLite, passlib's bcrypt of cost 12
and python-jose. Written for the comparison from a description of the origin, and not the origin itself, which has no license.

Usage: origin_like.py FOLDER. It keeps its database there, takes a free port of 127.0.0.1, and prints its address when it is ready.
It writes no access log, which only makes it faster."""

import datetime
import pathlib
import secrets
import sys

import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from jose import JWTError, jwt
from passlib.context import CryptContext
from pydantic import BaseModel
from sqlalchemy import String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

SECRET = secrets.token_urlsafe(32)
LIFETIME = datetime.timedelta(minutes=30)
contexts = CryptContext(schemes=["bcrypt"], bcrypt__rounds=12)
engine = create_engine(f"sqlite:///{pathlib.Path(sys.argv[1]) / 'users.db'}", connect_args={"check_same_thread": False})
sessions = sessionmaker(engine)
bearer = HTTPBearer()
app = FastAPI()


class Base(DeclarativeBase):
    """The tables."""


class User(Base):
    """A user, as the origin's table has it."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    phone: Mapped[str] = mapped_column(String, unique=True, index=True)
    hashed_password: Mapped[str] = mapped_column(String)


class Credentials(BaseModel):
    """The body of a registration or a login."""

    phone: str
    password: str


def database():
    """Opens a session of the database for one request."""
    with sessions() as session:
        yield session


@app.post("/auth/register")
def register(credentials: Credentials, session: Session = Depends(database)):
    """Creates a user."""
    user = User(phone=credentials.phone, hashed_password=contexts.hash(credentials.password))
    session.add(user)
    session.commit()
    return {"id": user.id, "phone": user.phone}


@app.post("/auth/login")
def login(credentials: Credentials, session: Session = Depends(database)):
    """Compares the password, and returns a token."""
    user = session.scalar(select(User).where(User.phone == credentials.phone))
    if user is None or not contexts.verify(credentials.password, user.hashed_password):
        raise HTTPException(401)
    expires = datetime.datetime.now(datetime.timezone.utc) + LIFETIME
    return {"access_token": jwt.encode({"sub": user.phone, "exp": expires}, SECRET, "HS256"), "token_type": "bearer"}


@app.get("/auth/me")
def me(token: HTTPAuthorizationCredentials = Depends(bearer), session: Session = Depends(database)):
    """Returns the user of a token."""
    try:
        phone = jwt.decode(token.credentials, SECRET, ["HS256"])["sub"]
    except JWTError as error:
        raise HTTPException(401) from error
    user = session.scalar(select(User).where(User.phone == phone))
    if user is None:
        raise HTTPException(401)
    return {"id": user.id, "phone": user.phone}


class Server(uvicorn.Server):
    """A server that says where it listens."""

    async def startup(self, sockets=None):
        """Starts to listen."""
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"The peer is ready on http://127.0.0.1:{port}", flush=True)


Base.metadata.create_all(engine)
Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning")).run()
