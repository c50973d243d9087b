"""Services that use what BentoML lets an API do, bare and migrated, to be held against another."""

import hashlib
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import anyio.from_thread
import bentoml
import numpy as np
from bentoml.exceptions import BentoMLException, InvalidArgument, ServiceUnavailable
from bentoml.validators import ContentType
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from PIL import Image
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flags import Reading, migrate
from tests.support.services.amounts import Amount, AmountOfV2, Louder, Page, Tags

NOTES = Path(os.environ.get("NOTES_DIR", "notes"))
"""Where hooks and background tasks leave a line each."""


def note(name: str, line: object) -> None:
    NOTES.mkdir(parents=True, exist_ok=True)
    with (NOTES / name).open("a") as file:
        file.write(f"{line}\n")


class Item(BaseModel):
    id: int
    name: str


class AlreadyThere(BentoMLException):
    """An error with a status and arguments of its own."""

    error_code = HTTPStatus.CONFLICT

    def __init__(self, item: Item, place: str) -> None:
        super().__init__(f"{item.name} is in {place}")


class Stamped:
    """Middleware that counts how often a request passed it, and asks for a key on one path."""

    def __init__(self, app: ASGIApp, *, header: str) -> None:
        self.app, self.header = app, header.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def stamping(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (self.header, b"1")]
            await send(message)

        if scope["path"] == "/guarded" and (b"x-key", b"open") not in scope["headers"]:
            await PlainTextResponse("no key", 401)(scope, receive, stamping)
            return
        state = scope.setdefault("state", {})
        state["user"] = {"name": "Ada", "roles": {"reader"}}
        state["connection"] = threading.Lock()  # what no other process can have
        scope["user"], scope["session"] = "Ada", {"number": 1}
        await self.app(scope, receive, stamping)


def service_of(ctx: FastAPI) -> str:
    return str(ctx)


class Same:
    factor: int
    by: str

    def __init__(self) -> None:
        self.greeting = "hello"
        self.setting = os.environ.get("SAME_SETTING", "")

    @bentoml.api
    def returned(self, kind: str) -> dict:
        """Return a response of some kind."""
        if kind == "json":
            return JSONResponse({"error": "no such user"}, 404, {"X-Why": "gone"})
        if kind == "error":
            return JSONResponse({"error": "busy"}, 503, {"Retry-After": "3"})
        if kind == "redirect":
            return RedirectResponse("/elsewhere", 307)
        if kind == "empty":
            return Response(status_code=204)
        if kind == "cookies":
            response = PlainTextResponse("two", 201)
            response.set_cookie("a", "1")
            response.set_cookie("b", "2", httponly=True)
            response.headers.append("X-Many", "1")
            response.headers.append("X-Many", "2")
            return response
        if kind == "stream":
            return StreamingResponse(iter(["one,", "two"]), 206, media_type="text/csv")
        if kind == "file":
            place = NOTES / f"{self.by}.txt"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("in a file")
            return FileResponse(place, media_type="text/x-own", headers={"X-File": "yes"})
        if kind == "bytes":
            return Response(b"\x00\xff", media_type="image/x-own")
        if kind == "task":
            return JSONResponse({}, 202, background=BackgroundTask(note, "returned", self.by))
        return {"kind": kind}

    @bentoml.api
    async def returned_later(self, status: int) -> str:
        return PlainTextResponse("later", status, {"X-Later": "1"})

    @bentoml.api
    def text(self, name: str) -> str:
        return f"hello {name}"

    @bentoml.api
    def from_thread(self, name: str) -> str:
        async def on_the_loop() -> str:
            return f"hello {name} of {self.by}"

        return anyio.from_thread.run(on_the_loop)

    @bentoml.api
    def raw(self, name: str) -> bytes:
        return name.encode()

    @bentoml.api
    def by_context(self, status: int, ctx: bentoml.Context) -> dict:
        ctx.response.status_code = status
        ctx.response.headers["X-Own"] = "1"
        ctx.response.headers["Cache-Control"] = "no-store"
        ctx.response.set_cookie("session", "s", httponly=True)
        ctx.response.set_cookie("other", "o")
        return {"status": status}

    @bentoml.api
    def long_headers(self, size: int, ctx: bentoml.Context) -> str:
        ctx.response.headers["X-Long"] = "x" * size
        for i in range(200):
            ctx.response.set_cookie(f"c{i}", "1", path="/long")
        return "long"

    @bentoml.api
    async def typed(self, context: bentoml.Context) -> str:
        context.response.headers["Content-Type"] = "application/x-own"
        context.response.status_code = 418
        return "teapot"

    @bentoml.api
    def both(self, ctx: bentoml.Context) -> dict:
        ctx.response.headers["X-Own"] = "1"
        return JSONResponse({"a": 1}, 409)

    @bentoml.api
    def request(self, ctx: bentoml.Context) -> dict:
        request = ctx.request
        assert request.client is not None
        return {
            "client": request.client.host,
            "query": dict(request.query_params),
            "cookies": dict(request.cookies),
            "headers": sorted(name for name in request.headers if name != "x-request-id"),
            "type": request.headers.get("content-type"),
            "agent": request.headers.get("user-agent"),
            "host": request.headers.get("host"),
            "path": request.url.path,
            "method": request.method,
            "user": request.state.user["name"],
            "roles": list(request.state.user["roles"]),
            "entries": [request.user, request.session],
            "raw_path": request.scope["raw_path"].decode(),
        }

    @bentoml.api
    def fails(self, kind: str, ctx: bentoml.Context) -> dict:
        ctx.response.headers["X-Own"] = "1"
        ctx.response.background.add_task(note, "failed", f"{kind} {self.by}")
        if kind == "invalid":
            raise InvalidArgument("not so")
        if kind == "unavailable":
            raise ServiceUnavailable("closed")
        if kind == "forbidden":
            raise BentoMLException("secret", error_code=HTTPStatus.FORBIDDEN)
        if kind == "own":
            raise AlreadyThere(Item(id=1, name="a"), place="b")
        if kind == "validation":
            Item(id="x", name=3)
        raise ValueError(kind)

    @bentoml.api
    def refuses(self, kind: str) -> dict:
        if kind == "invalid":
            raise InvalidArgument("not so")
        if kind == "validation":
            Item(id="x", name=3)
        return [1]  # what the API cannot return

    @bentoml.api(route="/named/{a}".replace("/{a}", "/route"))
    def named(self, items: list[Item]) -> list[Item]:
        """Have a route of its own."""
        return items

    @bentoml.api
    def words(self, n: int) -> Generator[str, None, None]:
        for i in range(n):
            yield f"{i},"

    @bentoml.api
    async def rows(self, n: int) -> AsyncGenerator[Item, None]:
        if n == 0:
            raise InvalidArgument("none")
        for i in range(n):
            yield Item(id=i, name=self.greeting)

    @bentoml.api
    async def anything(self, n: int) -> AsyncGenerator[Any, None]:
        for each in (b"\x80\x05", "text", {"n": n}, None):
            yield each

    @bentoml.api
    async def events(self, n: int, ctx: bentoml.Context) -> AsyncGenerator[str, None]:
        ctx.response.headers["Content-Type"] = "application/x-ndjson"
        ctx.response.headers["X-Stream"] = "1"
        ctx.response.status_code = 203
        ctx.response.background.add_task(note, "streamed", self.by)
        for i in range(n):
            yield f'{{"i":{i}}}\n'

    @bentoml.api
    def leaves(self, x: int, ctx: bentoml.Context) -> int:
        ctx.response.background.add_task(note, "left", f"{x} {self.by}")
        note("shadow", f"{self.by} {ctx.request.headers.get('X-Shadow')}")
        return x

    @bentoml.api
    def amounts(
        self, first: Amount, text: Louder, page: Page[Amount], times: int = Field(2, alias="Times")
    ) -> list[Amount]:
        assert first.hidden == 1
        return [first, *page.items] * (times if text.endswith("t!") else 0)

    @bentoml.api
    def amount(self, amount: Amount, /) -> Amount:
        assert amount.hidden == 1
        return amount

    @bentoml.api
    def page(self, page: Page[Amount], /) -> Page[Amount]:
        return page

    @bentoml.api
    async def amounts_in_turn(self, page: Page[Amount]) -> AsyncGenerator[Amount, None]:
        for each in page.items:
            yield each

    @bentoml.api
    def tags(self, tags: Tags, /) -> Tags:
        return tags

    @bentoml.api
    def side(self, x: int) -> dict:
        return {"x": self.factor * x, "setting": self.setting}

    @bentoml.task
    def slow(self, x: int) -> int:
        return x

    @bentoml.on_startup
    def begin(self) -> None:
        note("startup", self.by)

    @bentoml.on_startup
    async def begin_async(self) -> None:
        note("startup_async", self.by)

    @bentoml.on_shutdown
    def end(self) -> None:
        note("shutdown", self.by)

    @bentoml.on_shutdown
    async def end_async(self) -> None:
        note("shutdown_async", self.by)

    def __is_alive__(self) -> bool:
        return not (NOTES / "dead").exists()

    async def __is_ready__(self) -> bool:
        return not (NOTES / "unready").exists()

    def __metrics__(self, text: str) -> str:
        return text + "# of the primary\n"


app_1, app_2 = FastAPI(title="More"), FastAPI(title="More")
apps = {1: app_1, 2: app_2}
router = APIRouter()


@router.get("/routed")
async def routed() -> dict:
    return {"by": "router"}


def current() -> object:
    from _bentoml_sdk.service import get_current_service

    return get_current_service()


@app_1.get("/depends")
@app_2.get("/depends")
def depends(service: object = Depends(current)) -> str:
    return service.greeting  # type: ignore[attr-defined,no-any-return]


app_1.include_router(router)
app_2.include_router(router)


@bentoml.service(
    envs=[{"name": "SAME_SETTING", "value": "one"}],
    description="Of the first.",
    traffic={"timeout": 20},
)
@bentoml.asgi_app(app_1, path="/more")
class SameV1(Same):
    """Do the same as the other."""

    factor, by = 1, "primary"

    @bentoml.on_deployment
    def prepare() -> None:
        note("deployment", "primary")

    @app_1.get("/hello")
    def hello(self, name: str = "you") -> dict:
        return {"text": f"{self.greeting} {name}"}

    @app_1.post("/echo", status_code=201)
    async def echo(self, item: Item) -> Item:
        return item

    @app_1.websocket("/talk")
    async def talk(self, socket: WebSocket) -> None:
        await socket.accept()
        name = await socket.receive_text()
        if name == "nobody":
            raise ValueError(name)
        if name.isdecimal():
            await socket.send_bytes(bytes(int(name)))
        else:
            await socket.send_text(f"{self.greeting} {name}")
        await socket.close(1001, "all said")


@bentoml.service(
    envs=[{"name": "SAME_SETTING", "value": os.environ.get("SECOND_SETTING", "two")}],
    traffic={"timeout": 20},
)
class SameV2(Same):
    factor, by = 2, "candidate"

    @bentoml.api
    def amount(self, amount: AmountOfV2, /) -> AmountOfV2:
        assert type(amount).__mro__[2] is AmountOfV2  # below it the class that BentoML makes
        return amount

    @bentoml.on_deployment
    def prepare() -> None:
        note("deployment", "candidate")


for each in (SameV1, SameV2):
    each.add_asgi_middleware(Stamped, header="x-stamped")


M = migrate(
    primary=SameV1,
    candidate=SameV2,
    flag="same",
    name="M",
    placement=os.environ.get("PLACEMENT"),
    apis={"side": Reading.of("x")},
)


class Front:
    @bentoml.api
    def plus_one(self, x: int) -> float:
        return self.model.side(x=x)["x"] + 1

    @bentoml.api
    async def plus_one_async(self, x: int) -> float:
        return (await self.model.to_async.side(x=x))["x"] + 1

    @bentoml.api
    def joined(self, n: int) -> str:
        return "".join(self.model.words(n=n))

    @bentoml.api
    async def joined_async(self, n: int) -> str:
        return "".join([str(each) async for each in self.model.to_async.words(n=n)])

    @bentoml.api
    async def counted(self, n: int) -> list:
        return [each.id async for each in self.model.rows(n=n)]


@bentoml.service
class FrontOfV1(Front):
    model = bentoml.depends(SameV1)


@bentoml.service
class FrontOfM(Front):
    model = bentoml.depends(M)


class Other:
    @bentoml.api
    def which(self, x: int) -> str:
        return self.by


@bentoml.service
class OtherV1(Other):
    by = "primary"


@bentoml.service
class OtherV2(Other):
    by = "candidate"


First = migrate(OtherV1, OtherV2, flag="same", name="First", placement=os.environ.get("PLACEMENT"))


@bentoml.service
class ThirdV1(Other):
    by = "primary"


@bentoml.service
class ThirdV2(Other):
    by = "candidate"


Second = migrate(
    ThirdV1, ThirdV2, flag="same", name="Second", placement=os.environ.get("PLACEMENT")
)


@bentoml.service
class Gateway:
    """One caller's id, two migrations behind it."""

    first = bentoml.depends(First)
    second = bentoml.depends(Second)

    @bentoml.api
    def ask(self, x: int) -> list:
        return [self.first.which(x=x), self.second.which(x=x)]

    @bentoml.api
    async def ask_async(self, x: int) -> list:
        first = await self.first.to_async.which(x=x)
        return [first, await self.second.to_async.which(x=x)]


async def raw_app(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    headers = [(b"x-path", scope["path"].encode()), (b"x-query", scope["query_string"])]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": f"{scope['method']}".encode()})


def noting(name: str) -> Any:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None, None]:
        note("lifespan", name)
        yield

    return lifespan


async def whole(request: Request) -> Response:
    body = await request.body()
    client = "" if request.client is None else request.client.host
    shown = {"size": len(body), "client": client, "agent": request.headers.get("user-agent")}
    return JSONResponse({**shown, "cookies": request.cookies, "root": request.url.path})


def wsgi_app(environ: dict, start_response: Callable[..., object]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/x-wsgi")])
    return [environ["REQUEST_METHOD"].encode()]


def seen(image: Image.Image) -> list:
    content = hashlib.sha256(image.tobytes()).hexdigest()
    frames = getattr(image, "n_frames", 1)
    image.seek(frames - 1)
    last = hashlib.sha256(image.tobytes()).hexdigest()
    return [image.format, image.mode, image.size, content, frames, last]


class Prefixed:
    factor: int

    @bentoml.api
    def wait(self, seconds: float) -> str:
        time.sleep(seconds)
        return "waited"

    @bentoml.api
    def echoed(self, file: Path) -> Path:
        copy = NOTES / "answer.bin"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes() * 2)
        return copy

    @bentoml.api
    def picture(self, size: int) -> Image.Image:
        return Image.new("RGB", (size, size))

    @bentoml.api
    def sound(self, size: int) -> Annotated[Path, ContentType("audio/wav")]:
        path = NOTES / "sound.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"RIFF" * size)
        return path

    @bentoml.api
    def parts(self, size: int) -> Generator[bytes, None, None]:
        for i in range(size):
            yield bytes([i, 255])

    @bentoml.api
    def any(self, *args: int, **kwargs: int) -> dict:
        return {"args": args, "kwargs": kwargs}

    @bentoml.api
    def defaulted(self, item: Item = Item(id=1, name="d"), times: int = 2) -> Item:  # noqa: B008
        return Item(id=item.id * times, name=item.name)

    @bentoml.api
    def array(self, rows: np.ndarray) -> np.ndarray:
        return rows * 2

    @bentoml.api
    def in_place(self, rows: np.ndarray, more: np.ndarray) -> np.ndarray:
        rows *= 2
        more.sort()
        return rows + more

    @bentoml.api
    def ending(self, file: Path, files: list[Path]) -> list:
        return [[each.name[11:], each.read_text()] for each in (file, *files)]

    @bentoml.api
    def only_ending(self, file: Path, /) -> str:
        return file.suffix + file.read_text()

    @bentoml.api
    def pixels(self, image: Image.Image, images: list[Image.Image]) -> list:
        return [seen(each) for each in (image, *images)]

    @bentoml.api
    def only_pixels(self, image: Image.Image, /) -> list:
        return seen(image)


def prefixed(name: str) -> Any:
    own = type(name, (Prefixed,), {"factor": 1, "__module__": __name__})
    service = bentoml.service(
        name=name,
        path_prefix="/v1",
        traffic={"timeout": 2},
        http={"cors": {"enabled": True, "access_control_allow_origins": ["http://a.example"]}},
    )(own)
    service.mount_asgi_app(raw_app, path="/raw-app")
    service.mount_asgi_app(
        Starlette(routes=[Route("/whole", whole, methods=["POST"])], lifespan=noting(name)),
        path="/more",
    )
    service.mount_wsgi_app(wsgi_app, path="/wsgi")
    return service


PrefixedV1 = prefixed("PrefixedV1")
PrefixedV2 = prefixed("PrefixedV2")
P = migrate(
    PrefixedV1,
    PrefixedV2,
    flag="same",
    name="P",
    placement=os.environ.get("PLACEMENT"),
)
