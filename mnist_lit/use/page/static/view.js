// Everything that shows an answer: the verdict, the bars, the pictures, the numbers and their boxes, and what is spoken.

import { figure, greyCanvas, heatCanvas } from "./pictures.js";
import { texts } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";
const SILENCE = 700; // milliseconds without a change before a screen reader is told
const byId = (id) => document.getElementById(id);

const rows = [];
let speech = 0;

/** Say something to screen readers, after a pause if it may change again. */
export function speak(sentence, pause = 0) {
  clearTimeout(speech);
  speech = setTimeout(() => (byId("spoken").textContent = sentence), pause);
}

/** Make the ten bars. */
export function makeBars() {
  for (let digit = 0; digit < 10; digit += 1) {
    const row = document.createElement("li");
    const name = document.createElement("span");
    const meter = document.createElement("div");
    const fill = document.createElement("div");
    const value = document.createElement("span");
    name.className = "name";
    name.textContent = String(digit);
    name.setAttribute("aria-hidden", "true");
    meter.className = "meter";
    meter.setAttribute("role", "meter");
    meter.setAttribute("aria-valuemin", "0");
    meter.setAttribute("aria-valuemax", "100");
    fill.className = "fill";
    value.className = "value";
    value.setAttribute("aria-hidden", "true");
    meter.append(fill);
    row.append(name, meter, value);
    byId("bars").append(row);
    rows.push({ row, meter, fill, value });
  }
}

function showBars(probabilities, answer) {
  rows.forEach(({ row, meter, fill, value }, digit) => {
    const share = probabilities ? probabilities[digit] : 0;
    fill.style.transform = `scaleX(${share})`;
    meter.setAttribute("aria-label", texts().bar(digit));
    meter.setAttribute("aria-valuenow", (100 * share).toFixed(1));
    meter.setAttribute("aria-valuetext", texts().percent(share));
    value.textContent = probabilities ? texts().percent(share) : "";
    row.classList.toggle("best", digit === answer);
  });
}

function secondOf(probabilities, answer) {
  return probabilities.reduce((best, share, digit) => (digit !== answer && share > (probabilities[best] ?? -1) ? digit : best), -1);
}

function filterCaption(name) {
  if (name === "input") return texts().input;
  const short = name.split("(")[0];
  return texts().filters[short] ?? short.replaceAll("_", " ");
}

function showPictures(detail) {
  const stages = detail?.stages ?? [];
  const pictures = stages.map(({ name, pixels }) =>
    figure(greyCanvas(pixels), filterCaption(name), texts().pictureOf(filterCaption(name)), name === "input" ? "" : name),
  );
  byId("stages").replaceChildren(...(pictures.length ? pictures : [figure(null, texts().input)]));
  const heat = detail?.attention
    ? figure(heatCanvas(stages[0].pixels, detail.attention), texts().heat, texts().heatOf(detail.answer))
    : figure(null, texts().heat);
  byId("attention").replaceChildren(heat);
}

/** Show the answer for one digit; `detail` is what `/api/digit` said, or null for an empty board. */
export function showDigit(detail, { sentence = texts().nothing } = {}) {
  const known = detail?.ink ? detail : null;
  const second = known ? secondOf(known.probabilities, known.answer) : -1;
  byId("digit").textContent = known ? String(known.answer) : "·";
  byId("digit").classList.toggle("unsure", Boolean(known) && known.confidence < 0.6);
  const lines = known
    ? [
        texts().verdict(known.confidence),
        texts().confidence(known.confidence),
        texts().second(second, known.probabilities[second]),
      ]
    : [detail ? texts().noInk : sentence];
  byId("sentence").replaceChildren(
    ...lines.map((line) => Object.assign(document.createElement("span"), { textContent: line })),
  );
  showBars(known?.probabilities, known?.answer ?? null);
  showPictures(known);
  if (known) speak(texts().spoken(known.answer, known.confidence, second), SILENCE);
}

/** Show what was read on a page as buttons, a group for each number and a row for each line; null hides it. */
export function showNumbers(page, chosen, choose) {
  const place = byId("numbers");
  place.hidden = !page;
  if (!page) {
    place.replaceChildren();
    return;
  }
  let index = 0;
  const lines = page.lines.map((line) => {
    const row = document.createElement("div");
    row.className = "line";
    for (const number of line.numbers) {
      const group = document.createElement("span");
      group.className = "number";
      for (const digit of number.digits) {
        const own = index;
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = digit.text;
        button.className = digit.text === "?" ? "chip unsure" : "chip";
        button.setAttribute("aria-label", texts().chip(digit.text, digit.confidence));
        button.setAttribute("aria-pressed", String(own === chosen));
        button.addEventListener("click", () => choose(own));
        group.append(button);
        index += 1;
      }
      row.append(group);
    }
    return row;
  });
  place.replaceChildren(...lines);
}

function rectangle([left, top, right, bottom], className) {
  const element = document.createElementNS(SVG, "rect");
  element.setAttribute("x", left);
  element.setAttribute("y", top);
  element.setAttribute("width", right - left);
  element.setAttribute("height", bottom - top);
  element.setAttribute("class", className);
  return element;
}

/** Draw the boxes of a page over the board or the photo; null takes them away. `choose` makes them clickable. */
export function showBoxes(page, chosen, choose) {
  const svg = byId("boxes");
  svg.replaceChildren();
  svg.classList.toggle("clickable", Boolean(choose));
  if (!page) return;
  svg.setAttribute("viewBox", `0 0 ${page.width} ${page.height}`);
  const place = svg.getBoundingClientRect();
  const pixel = Math.max(page.width / place.width, page.height / place.height) || 1; // one CSS pixel in the page's
  let index = 0;
  for (const line of page.lines) {
    for (const number of line.numbers) {
      for (const digit of number.digits) {
        const own = index;
        const element = rectangle(digit.box, `box${digit.text === "?" ? " unsure" : ""}${own === chosen ? " chosen" : ""}`);
        if (choose) element.addEventListener("click", () => choose(own));
        svg.append(element);
        index += 1;
      }
      const label = document.createElementNS(SVG, "text");
      const [left, top, , bottom] = number.box;
      const size = Math.min(Math.max(9 * pixel, 0.6 * (bottom - top)), 26 * pixel);
      label.setAttribute("x", left);
      label.setAttribute("y", top > 1.2 * size ? top - 0.25 * size : bottom + size);
      label.setAttribute("font-size", size);
      label.textContent = number.text;
      svg.append(label);
    }
  }
}

/** Show what went wrong; an empty code takes it away. */
export function showError(code, message = "") {
  const { errors } = texts();
  byId("error").textContent = code ? (errors[code] ?? (texts().tag === "en" ? message : errors.other)) : "";
}
