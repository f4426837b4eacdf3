"""The page behind `draw`: its answers, and the command; without a browser and without a network."""

import base64
import io
import re
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from page_checks import DRAWING, PATHS, PNG, SEVEN, Client, StandIn, encoded, ink, page_files
from PIL import Image

import mnist_lit.use.page as command
from mnist_lit.data.digit_image import digit_from_image
from mnist_lit.errors import Failure, UsageError
from mnist_lit.use.ink import TooMuchInk
from mnist_lit.use.page.server import create_app
from mnist_lit.use.recognizer import load_recognizer

pytestmark = pytest.mark.usefixtures("reader")


# Answers


def test_a_drawing_is_answered_with_all_that_the_page_shows(client):
    answer = client.post("/api/digit", content=DRAWING, headers=PNG).json()
    digit = digit_from_image(SEVEN).pixels
    assert answer["ink"] is True
    assert answer["text"] == "3"
    assert answer["answer"] == 3
    assert answer["confidence"] == pytest.approx(0.82)
    assert answer["probabilities"] == pytest.approx([0.82 if k == 3 else 0.02 for k in range(10)])
    assert answer["polarity"] == "dark on light"
    assert [stage["name"] for stage in answer["stages"]] == ["input", "invert"]
    np.testing.assert_array_equal(np.reshape(answer["stages"][0]["pixels"], (28, 28)), digit)
    np.testing.assert_array_equal(np.reshape(answer["stages"][1]["pixels"], (28, 28)), 255 - digit)
    np.testing.assert_array_equal(np.reshape(answer["attention"], (28, 28)), digit)


def test_a_photo_with_too_much_ink_is_refused_and_the_next_is_read(client, reader):
    read_page = reader.read_page

    def refuse(image, recognizer):
        raise TooMuchInk("3,600 pieces of ink")

    reader.read_page = refuse
    answer = client.post("/api/read", content=DRAWING, headers=PNG)
    assert (answer.status_code, answer.json()) == (400, {"error": "photo: 3,600 pieces of ink", "code": "full"})
    reader.read_page = read_page
    assert client.post("/api/read", content=DRAWING, headers=PNG).status_code == 200


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_drawing_has_no_ink_and_no_answer(client, level):
    answer = client.post("/api/digit", content=encoded(np.full((90, 120), level, np.uint8)), headers=PNG).json()
    assert answer["ink"] is False
    assert answer["answer"] is answer["confidence"] is answer["probabilities"] is answer["attention"] is None
    assert answer["text"] == ""
    assert answer["stages"] == []


def test_below_the_readers_threshold_the_text_is_a_question_mark(client, reader):
    reader.CONFIDENCE_THRESHOLD = 0.9
    answer = client.post("/api/digit", content=DRAWING, headers=PNG).json()
    assert (answer["text"], answer["answer"]) == ("?", 3)


def test_a_model_that_cannot_tell_where_it_looked_answers_all_the_same():
    class Blind(StandIn):
        def attention(self, image):
            raise Failure("attention: an ONNX model cannot tell where it looked")

    answer = Client(create_app(Blind())).post("/api/digit", content=DRAWING, headers=PNG).json()
    assert (answer["answer"], answer["attention"]) == (3, None)


def test_light_ink_on_dark_is_told(client):
    answer = client.post("/api/digit", content=encoded(255 - SEVEN), headers=PNG).json()
    assert answer["polarity"] == "light on dark"
    np.testing.assert_array_equal(np.reshape(answer["stages"][0]["pixels"], (28, 28)), digit_from_image(SEVEN).pixels)


def test_each_digit_of_a_photo_comes_with_its_image(client, reader):
    image = digit_from_image(SEVEN).pixels
    entry = {"text": "3", "box": [0, 0, 9, 9]}
    page = SimpleNamespace(
        scaled=lambda factor: page,
        digits=(SimpleNamespace(image=image),),
        to_dict=lambda: {"lines": [{"numbers": [{"digits": [entry]}]}]},
    )
    reader.read_page = lambda image, recognizer: page
    answer = client.post("/api/read", content=DRAWING, headers=PNG).json()
    (told,) = answer["lines"][0]["numbers"][0]["digits"]
    pixels = np.frombuffer(base64.b64decode(told["image"]), np.uint8).reshape(28, 28)
    np.testing.assert_array_equal(pixels, image)
    again = client.post("/api/digit", content=encoded(pixels), headers=PNG).json()
    np.testing.assert_array_equal(np.reshape(again["stages"][0]["pixels"], (28, 28)), image)


def test_the_notes_on_a_photo_are_told(client):
    exif = Image.Exif()
    exif[274] = 6
    answer = client.post("/api/read", content=encoded(SEVEN, exif=exif), headers=PNG).json()
    assert answer["notes"] == ["EXIF orientation applied"]


TWINS = {
    "16 bit": lambda: encoded(SEVEN.astype(np.uint16) * 257),
    "palette": lambda: saved(Image.fromarray(SEVEN).convert("P")),
    "strokes on transparent": lambda: saved(
        Image.merge("RGBA", [*[Image.new("L", SEVEN.shape, 0)] * 3, Image.fromarray(255 - SEVEN)])
    ),
    "grey with alpha": lambda: saved(Image.fromarray(SEVEN).convert("LA")),
    "GIF": lambda: encoded(SEVEN, "GIF"),
    "TIFF": lambda: encoded(SEVEN, "TIFF"),
    "BMP": lambda: encoded(SEVEN, "BMP"),
    "WebP": lambda: encoded(SEVEN, "WEBP", lossless=True),
}


def saved(image, kind="PNG"):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", TWINS)
def test_every_kind_of_picture_is_seen_as_its_plain_twin(client, kind):
    answer = client.post("/api/digit", content=TWINS[kind](), headers=PNG).json()
    twin = digit_from_image(SEVEN).pixels
    assert np.abs(np.reshape(answer["stages"][0]["pixels"], (28, 28)) - twin.astype(int)).max() <= 2


def test_recorded_strokes_are_answered_right_by_the_bundled_weights():
    digits = np.stack([digit_from_image(ink(path["strokes"])).pixels for path in PATHS])
    answers = load_recognizer().probabilities(digits).argmax(axis=1)
    assert answers.tolist() == [path["digit"] for path in PATHS]
    assert set(answers) == set(range(10))


# The first answer


def test_the_first_answer_is_made_before_anybody_asks(reader):
    asked = threading.Event()

    class Watched(StandIn):
        def attention(self, image):
            asked.set()
            return super().attention(image)

    create_app(Watched())
    assert not asked.wait(0.2)
    create_app(Watched(), warm=True)
    assert asked.wait(10)


# The page's own files


def test_the_page_and_all_that_it_refers_to_are_served(client):
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    references = re.findall(r'(?:href|src)="(/[^"]*)"', page.text)
    for text in page_files(".js").values():
        references += [f"/{name}" for name in re.findall(r'from "\./([^"]+)"', text)]
    assert len(references) > 8
    for path in references:
        assert client.get(path).status_code == 200, path


def test_the_page_has_nothing_inline_that_its_policy_would_block():
    page = page_files(".html")["index.html"]
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", page) == []


def test_the_page_names_no_other_host():
    for name, text in page_files(".html", ".js", ".css", ".svg").items():
        assert set(re.findall(r"(?:https?:)?//[a-z0-9.]+\.[a-z]+", text)) <= {"http://www.w3.org"}, name
    assert "http://www.w3.org/2000/svg" in page_files(".js")["view.js"]


def test_every_text_is_there_in_both_languages():
    texts = page_files(".js")["texts.js"]
    english, chinese = (
        set(re.findall(r"^  (\w+):", texts.split(f"const {name} = ", 1)[1].split("\n};", 1)[0], re.MULTILINE))
        for name in ("english", "chinese")
    )
    assert english == chinese
    used = {name for text in page_files(".html").values() for name in re.findall(r'data-(?:text|label)="(\w+)"', text)}
    used |= {name for text in page_files(".js").values() for name in re.findall(r"\btexts\(\)\.(\w+)", text)}
    assert used - {"percent"} <= english  # a number's own form is the same in both


def test_every_filter_has_a_chinese_name():
    from mnist_lit.data.filters import FILTERS, filter_name

    texts = page_files(".js")["texts.js"]
    chinese = texts.split("const chinese = ", 1)[1].split("filters: {", 1)[1].split("}", 1)[0]
    assert set(re.findall(r"(\w+):", chinese)) == {filter_name(one) for one in FILTERS}


# The command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "65536"], "--port: 65536 is not allowed"),
        (["--port", "-1"], "--port: -1 is not allowed"),
        (["--port", "many"], "invalid int value"),
        (["--host", "no such host"], "--host: 'no such host' is no address"),
        (["extra"], "unrecognized arguments"),
    ],
)
def test_wrong_use_is_one_line(words, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        command.run(words)


def test_a_port_in_use_is_one_line_that_names_another():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Failure, match=rf"^port {port} on 127\.0\.0\.1: .*--port"):
            command.run(["--port", str(port), "--no-browser"])


def test_a_model_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"none\.ckpt"):
        command.run(["--port", "0", "--no-browser", "--model", str(tmp_path / "none.ckpt")])


@pytest.mark.parametrize("missing", ["uvicorn", "fastapi"])
def test_without_the_extra_the_way_to_it_is_named(monkeypatch, missing):
    for name in [name for name in sys.modules if name.startswith("mnist_lit.use.page.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=re.escape(f"{missing}: not installed (pip install 'mnist_lit[page]')")):
        command.run(["--port", "0", "--no-browser"])


def test_importing_the_command_imports_nothing_heavy():
    code = (
        "import sys, mnist_lit.use.page; "
        "print([name for name in ('torch', 'cv2', 'fastapi', 'uvicorn', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
