// The page's main file: joins the board, the photo, the questions to the server and what shows the answers.

import { Latest, post, Refusal } from "./ask.js";
import { Pad } from "./pad.js";
import { inNumbers } from "./numbers.js";
import { greyPng } from "./pictures.js";
import { fillIn, switchLanguage, texts } from "./texts.js";
import { focusDigit, makeBars, showBoxes, showDigit, showError, showNumbers, speak } from "./view.js";

const MAX_PHOTO = 10 * 2 ** 20; // bytes
const byId = (id) => document.getElementById(id);

/**
 * What is shown: `detail` of one digit, `page` with several, which of them is `chosen`, and where the one lies that was
 * chosen by hand (`picked`, until the drawing changes); `photo` is its object URL, `busy` while it is read; `wrong` is
 * what went wrong: its `code` and `message`, and whether a photo was the cause.
 */
const state = { detail: null, page: null, chosen: 0, picked: null, photo: null, busy: false, wrong: null };

const digitsOf = (page) => page.lines.flatMap((line) => line.numbers.flatMap((number) => number.digits));

/** The pixels of a digit that the reader found, as they come: base64 of 784 grey levels. */
const pixelsOf = (digit) => Array.from(atob(digit.image), (char) => char.charCodeAt(0));

const explain = async (digit) => post("/api/digit", await greyPng(pixelsOf(digit)));

const pad = new Pad(byId("pad"), {
  changed() {
    state.picked = null;
    if (state.wrong?.photo) right();
    askAboutDrawing();
  },
  pen: (down) => speak(down ? texts().penDown : texts().penUp),
});

function askAboutDrawing() {
  byId("hint").hidden = !pad.empty;
  updateTools();
  if (pad.empty) {
    questions.drop();
    show({ detail: null, page: null });
  } else {
    questions.request();
  }
}

const questions = new Latest({
  async ask() {
    const image = await pad.snapshot();
    if (pad.scattered) {
      const page = inNumbers(await post("/api/read", image));
      const digits = digitsOf(page);
      if (digits.length > 1) {
        const chosen = nearest(digits, state.picked ?? (pad.empty ? { x: 0, y: 0 } : pad.newest));
        return { page, chosen, detail: await explain(digits[chosen]) };
      }
    }
    return { page: null, detail: await post("/api/digit", image) };
  },
  done(answer) {
    if (state.wrong && !state.wrong.photo) right();
    show(answer);
    if (!answer.page || !state.picked) return;
    const picked = nearest(digitsOf(answer.page), state.picked); // a digit may be picked while the answer is on its way
    if (picked !== answer.chosen) choose(picked);
  },
  failed,
});

const middleOf = ({ box: [left, top, right, bottom] }) => ({ x: (left + right) / 2, y: (top + bottom) / 2 });

/** Index of the digit whose box is nearest to a point. */
function nearest(digits, { x, y }) {
  const distance = (digit) => Math.hypot(middleOf(digit).x - x, middleOf(digit).y - y);
  return digits.reduce((best, digit, index) => (distance(digit) < distance(digits[best]) ? index : best), 0);
}

function failed(error, photo = false) {
  state.wrong = { code: error instanceof Refusal ? error.code : "other", message: error.message, photo };
  showError(state.wrong);
}

function right() {
  state.wrong = null;
  showError(null);
}

function show(change) {
  Object.assign(state, change);
  const { detail, page, chosen, photo } = state;
  let sentence = texts().nothing;
  if (photo) sentence = state.busy ? texts().reading : texts().noDigits;
  showDigit(detail, { sentence });
  showNumbers(page && digitsOf(page).length ? page : null, chosen, choose);
  showBoxes(page, chosen, photo ? choose : null);
  if (page && digitsOf(page).length > 1) {
    speak(texts().spokenSeveral(digitsOf(page).length, page.text.replaceAll("\n", ", ")), 700);
  } else if (photo && !detail) {
    speak(sentence);
  }
}

async function choose(index) {
  const { page } = state;
  const digit = digitsOf(page)[index];
  state.picked = middleOf(digit);
  try {
    const detail = await explain(digit);
    if (page !== state.page) return;
    const focused = document.activeElement?.classList.contains("chip");
    show({ detail, chosen: index });
    focusDigit(index, focused);
  } catch (error) {
    failed(error);
  }
}

function updateTools() {
  byId("undo").disabled = !state.photo && !pad.undoable;
  byId("clear").disabled = !state.photo && pad.empty;
}

// ---------------------------------------------------------------- photos

let reading = 0;

async function readPhoto(file) {
  right();
  if (file.size > MAX_PHOTO) {
    failed(new Refusal("large"), true);
    return;
  }
  questions.drop();
  const round = (reading += 1);
  openPhoto(file);
  try {
    const page = await post("/api/read", file, 3);
    if (round !== reading) return;
    state.busy = false;
    byId("stage").removeAttribute("aria-busy");
    byId("photo").alt = texts().photoOf(page.text);
    setShape(page.width, page.height);
    const digits = digitsOf(page);
    show({ page, chosen: 0, detail: null });
    if (digits.length) await choose(0);
  } catch (error) {
    if (round !== reading) return;
    closePhoto();
    failed(error, true);
  }
}

function openPhoto(file) {
  forgetPhoto();
  state.picked = null;
  state.photo = URL.createObjectURL(file);
  state.busy = true;
  const image = byId("photo");
  image.alt = texts().photoOf("");
  image.src = state.photo;
  image.hidden = false;
  byId("stage").classList.add("with-photo");
  byId("stage").setAttribute("aria-busy", "true");
  byId("hint").hidden = true;
  byId("undo").textContent = texts().back;
  byId("undo").dataset.text = "back";
  updateTools();
  show({ page: null, detail: null, chosen: 0 });
}

function forgetPhoto() {
  if (state.photo) URL.revokeObjectURL(state.photo);
  state.photo = null;
}

function closePhoto() {
  reading += 1;
  forgetPhoto();
  state.busy = false;
  byId("photo").hidden = true;
  byId("photo").removeAttribute("src");
  byId("stage").classList.remove("with-photo");
  byId("stage").removeAttribute("aria-busy");
  byId("undo").dataset.text = "undo";
  byId("undo").textContent = texts().undo;
  state.page = state.detail = state.picked = null;
  askAboutDrawing();
}

const setShape = (width, height) => byId("stage").style.setProperty("--shape", width / height);

byId("photo").addEventListener("load", ({ target }) => setShape(target.naturalWidth, target.naturalHeight));

// A format that the browser cannot show (TIFF): the boxes lie on plain paper then.
byId("photo").addEventListener("error", () => (byId("photo").hidden = true));

// ---------------------------------------------------------------- controls

function undo() {
  if (state.photo) closePhoto();
  else pad.undo();
}

function clear() {
  right();
  if (state.photo) closePhoto();
  pad.clear();
  speak(texts().cleared);
}

byId("undo").addEventListener("click", undo);
byId("clear").addEventListener("click", clear);
byId("upload").addEventListener("click", () => byId("file").click());
byId("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) readPhoto(file);
  event.target.value = ""; // so that the same file can be chosen again
});

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z") {
    event.preventDefault();
    undo();
  } else if ((event.key === "Escape" || event.key === "Delete") && !event.ctrlKey && !event.metaKey && !event.altKey) {
    clear();
  }
});

const pictureIn = (transfer) => [...(transfer?.files ?? [])][0];
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  byId("drop").hidden = false;
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) byId("drop").hidden = true; // it left the window
});
document.addEventListener("drop", (event) => {
  event.preventDefault(); // the browser would open the file in place of the page
  byId("drop").hidden = true;
  const file = pictureIn(event.dataTransfer);
  if (file) readPhoto(file);
});
document.addEventListener("paste", (event) => {
  const file = pictureIn(event.clipboardData);
  if (file) readPhoto(file);
});

// ---------------------------------------------------------------- language and theme

const dark = window.matchMedia("(prefers-color-scheme: dark)");

const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";

function themeChanged() {
  byId("theme").setAttribute("aria-pressed", String(isDark()));
  pad.redraw();
}

byId("theme").addEventListener("click", () => {
  const chosen = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = chosen;
  try {
    localStorage.setItem("theme", chosen);
  } catch {
    // storage is off: the choice holds until the page is closed
  }
  themeChanged();
});
dark.addEventListener("change", themeChanged);

byId("language").addEventListener("click", () => {
  switchLanguage();
  byId("pad").setAttribute("aria-label", texts().board);
  if (state.photo) byId("photo").alt = texts().photoOf(state.page?.text ?? "");
  showError(state.wrong);
  show({});
});

new ResizeObserver(() => showBoxes(state.page, state.chosen, state.photo ? choose : null)).observe(byId("stage"));

fillIn();
byId("pad").setAttribute("aria-label", texts().board);
makeBars();
themeChanged();
updateTools();
show({});
document.documentElement.dataset.ready = "true";
