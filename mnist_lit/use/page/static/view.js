// Everything that shows an answer: the verdict, the bars, the pictures, the numbers and their boxes, and what is spoken.

import { figure, greyCanvas, heatCanvas } from "./pictures.js";
import { texts } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";
const SILENCE = 700; // milliseconds without a change before a screen reader is told
const [forth, back] = [(index) => index + 1, (index) => index - 1];
const STEPS = { ArrowRight: forth, ArrowDown: forth, ArrowLeft: back, ArrowUp: back, Home: () => 0, End: () => -1 };
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
    : figure(null, detail ? texts().noHeat : texts().heat);
  byId("attention").replaceChildren(heat);
  byId("sight").classList.toggle("few", pictures.length < 2);
}

/** Show the answer for one digit; `detail` is what `/api/digit` said, or null for an empty board. */
export function showDigit(detail, { sentence = texts().nothing } = {}) {
  const known = detail?.ink ? detail : null;
  const second = known ? secondOf(known.probabilities, known.answer) : -1;
  const unsure = known?.text === "?";
  byId("digit").textContent = known?.text ?? "–";
  byId("digit").className = known ? (unsure ? "unsure" : "") : "none";
  const lines = known
    ? [
        texts().verdict(known.confidence),
        unsure ? texts().perhaps(known.answer, known.confidence) : texts().confidence(known.confidence),
        texts().second(second, known.probabilities[second]),
      ]
    : [detail ? texts().noInk : sentence];
  byId("sentence").replaceChildren(
    ...lines.map((line) => Object.assign(document.createElement("span"), { textContent: line })),
  );
  showBars(known?.probabilities, known?.answer ?? null);
  showPictures(known);
  if (known) speak((unsure ? texts().spokenUnsure : texts().spoken)(known.answer, known.confidence, second), SILENCE);
}

/**
 * Show what was read on a page, a group for each number and a row for each line, one digit of it chosen; null hides it.
 * Together they are one stop of the Tab key: arrows go from digit to digit. The buttons of an equal answer stay, so that
 * none is exchanged while it is pressed.
 */
export function showNumbers(page, chosen, choose) {
  const place = byId("numbers");
  place.hidden = !page;
  const lines = page ? page.lines.map((line) => line.numbers.map((number) => number.digits)) : [];
  const shape = JSON.stringify(lines.map((line) => line.map((digits) => digits.map(({ text }) => text))));
  if (place.dataset.shape !== shape) {
    place.replaceChildren(...lines.map(rowOfNumbers));
    place.dataset.shape = shape;
  }
  const digits = lines.flat(2);
  place.querySelectorAll(".chip").forEach((button, own, all) => {
    button.tabIndex = own === chosen ? 0 : -1;
    button.setAttribute("aria-label", texts().chip(digits[own].text, digits[own].confidence));
    button.setAttribute("aria-checked", String(own === chosen));
    button.onclick = () => choose(own);
    button.onkeydown = (event) => {
      const step = STEPS[event.key];
      if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      choose((step(own) + all.length) % all.length);
    };
  });
}

function rowOfNumbers(line) {
  const row = document.createElement("div");
  row.className = "line";
  for (const digits of line) {
    const group = document.createElement("span");
    group.className = "number";
    for (const digit of digits) {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("role", "radio");
      button.textContent = digit.text;
      button.className = digit.text === "?" ? "chip unsure" : "chip";
      group.append(button);
    }
    row.append(group);
  }
  return row;
}

/** Bring a digit that was chosen into view, and give it the focus if another digit had it. */
export function focusDigit(index, focused) {
  const chip = byId("numbers").querySelectorAll(".chip")[index];
  if (focused) chip?.focus({ preventScroll: true });
  const place = byId("numbers");
  if (chip) place.scrollTop = chip.offsetTop - (place.clientHeight - chip.offsetHeight) / 2;
}

const middle = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

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
  const heights = page.lines.flatMap((line) => line.numbers.flatMap(({ digits }) => digits.map(({ box }) => box[3] - box[1])));
  const size = Math.min(Math.max(10 * pixel, 0.42 * middle(heights)), 24 * pixel);
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
      const [left] = number.box;
      const [, top, , bottom] = number.digits[0].box; // a line may climb: the label stands at its number's first digit
      label.setAttribute("x", left);
      label.setAttribute("y", top > 1.2 * size ? top - 0.25 * size : bottom + size);
      label.setAttribute("font-size", size);
      label.textContent = number.text;
      svg.append(label);
    }
  }
}

/** Show what went wrong, `{ code, message }`; null takes it away. The same is not said twice. */
export function showError(wrong) {
  const { errors } = texts();
  const sentence = wrong ? (errors[wrong.code] ?? ((texts().tag === "en" && wrong.message) || errors.other)) : "";
  if (byId("error").textContent !== sentence) byId("error").textContent = sentence;
}
