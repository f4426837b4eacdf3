"""The line before the page's two questions: full, slow, left in the middle."""

import asyncio
import threading

import httpx
import pytest
from page_checks import ADDRESS, DRAWING, PNG, Client, EmptyPage, StandIn, is_error

from mnist_lit.use.page import guard, server
from mnist_lit.use.page.server import create_app

pytestmark = pytest.mark.usefixtures("reader")


def ask_many(app, count, path, until):
    """Ask at the same time; `until` is called with the answers so far, until it says that it has seen enough."""

    async def together():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as client:
            tasks = [asyncio.create_task(client.post(path, content=DRAWING, headers=PNG)) for _ in range(count)]
            while not until([task.result() for task in tasks if task.done()]):
                await asyncio.sleep(0.005)
            return await asyncio.gather(*tasks), await client.post(path, content=DRAWING, headers=PNG)

    return asyncio.run(asyncio.wait_for(together(), 20))


@pytest.mark.parametrize(
    ("path", "places"), [("/api/digit", 1 + server.DRAWINGS_WAITING), ("/api/read", 1 + server.PHOTOS_WAITING)]
)
def test_of_100_parallel_requests_those_beyond_the_line_get_503_and_the_rest_an_answer(path, places, reader):
    free = threading.Event()

    class Slow(StandIn):
        def probabilities(self, images):
            assert free.wait(10)
            return super().probabilities(images)

    def slow_reader(image, recognizer):
        assert free.wait(10)
        return EmptyPage()

    reader.read_page = slow_reader

    def until(answers):
        if len(answers) >= 100 - places:
            free.set()
        return free.is_set()

    answers, later = ask_many(create_app(Slow()), 100, path, until)
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) == 100 - places
    assert all(is_error(answer, 503) and answer.headers["retry-after"] == "1" for answer in refused)
    assert later.status_code == 200


def test_drawings_are_answered_while_a_photo_is_read(reader):
    free = threading.Event()

    def slow_reader(image, recognizer):
        assert free.wait(10)
        return EmptyPage()

    reader.read_page = slow_reader

    async def both():
        transport = httpx.ASGITransport(create_app(StandIn()))
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as client:
            photo = asyncio.create_task(client.post("/api/read", content=DRAWING, headers=PNG))
            await asyncio.sleep(0.05)
            drawing = await client.post("/api/digit", content=DRAWING, headers=PNG)
            waiting = not photo.done()
            free.set()
            return waiting, drawing.status_code, (await photo).status_code

    assert asyncio.run(asyncio.wait_for(both(), 20)) == (True, 200, 200)


def test_a_body_that_does_not_come_gets_408_and_leaves_its_place(monkeypatch):
    monkeypatch.setattr(server, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(guard, "_DRAIN_SECONDS", 0.05)
    monkeypatch.setattr(server, "DRAWINGS_WAITING", 0)

    async def trickle():
        yield DRAWING[:100]
        await asyncio.sleep(60)

    async def ask():
        transport = httpx.ASGITransport(create_app(StandIn()))
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as client:
            slow = await client.post("/api/digit", content=trickle(), headers=PNG)
            return slow, await client.post("/api/digit", content=DRAWING, headers=PNG)

    slow, later = asyncio.run(asyncio.wait_for(ask(), 20))
    assert is_error(slow, 408)
    assert later.status_code == 200


def test_a_client_that_goes_away_leaves_its_place(monkeypatch, caplog):
    monkeypatch.setattr(server, "DRAWINGS_WAITING", 0)
    app = create_app(StandIn())
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"image/png")]
    scope = {"type": "http", "method": "POST", "path": "/api/digit", "query_string": b"", "headers": headers}

    async def gone():
        return {"type": "http.disconnect"}

    async def nowhere(message):
        pass

    asyncio.run(app(scope, gone, nowhere))
    assert caplog.records == []
    assert Client(app).post("/api/digit", content=DRAWING, headers=PNG).status_code == 200
