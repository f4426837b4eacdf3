// The drawing board: strokes from mouse, pen, touch and keyboard, kept as points, drawn at any size and in any colour.

const ASPECT = 4 / 3; // width : height; coordinates are in heights of the board
const STROKE = 0.066; // width of a stroke
const NEAR = 0.008; // points nearer than this to the one before are left out: a trembling hand, a fine grid of pixels
const SNAPSHOT = 288; // height in pixels of what is sent
const STEP = 0.035; // of the keyboard's pen; with Shift a quarter of it
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function drawStroke(context, points, scale) {
  const [first] = points;
  context.lineCap = context.lineJoin = "round";
  if (points.length === 1) {
    context.beginPath();
    context.arc(first.x * scale, first.y * scale, (first.width * scale) / 2, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  const even = points.every((point) => point.width === first.width); // one path then: overlaps would show at the edges
  let [x, y] = [first.x * scale, first.y * scale];
  context.lineWidth = first.width * scale;
  context.beginPath();
  context.moveTo(x, y);
  for (let index = 1; index < points.length; index += 1) {
    // From the middle of one segment to the middle of the next, bent by the point between: no corners.
    const [before, point] = [points[index - 1], points[index]];
    const end = index === points.length - 1 ? point : { x: (before.x + point.x) / 2, y: (before.y + point.y) / 2 };
    if (!even) {
      context.beginPath();
      context.moveTo(x, y);
      context.lineWidth = ((before.width + point.width) / 2) * scale;
    }
    [x, y] = [end.x * scale, end.y * scale];
    context.quadraticCurveTo(before.x * scale, before.y * scale, x, y);
    if (!even) context.stroke();
  }
  if (even) context.stroke();
}

function bounds(points) {
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  return { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
}

const apart = (a, b) => a.left > b.right || b.left > a.right || a.top > b.bottom || b.top > a.bottom;

/** A canvas to draw on. Calls `changed()` after every change and `pen(down)` when the keyboard lowers or lifts the pen. */
export class Pad {
  #canvas;
  #context;
  #strokes = [];
  #cleared = []; // what the last clear took away, until the next stroke
  #stroke = null; // the one that is being drawn
  #pointer = null; // by this pointer, or null for the keyboard
  #cursor = { x: ASPECT / 2, y: 0.2, shown: false };
  #held = new Set(); // arrow keys: two of them move diagonally
  #frame = 0;

  constructor(canvas, { changed, pen }) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.changed = changed;
    this.pen = pen;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(name, (event) => this.#up(event));
    }
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("keyup", (event) => this.#held.delete(event.key));
    canvas.addEventListener("blur", () => this.#leave());
    new ResizeObserver(() => this.redraw()).observe(canvas);
  }

  get empty() {
    return this.#strokes.length === 0;
  }

  /** Whether there is something to take back. */
  get undoable() {
    return !this.empty || this.#cleared.length > 0;
  }

  /** Whether some strokes lie apart from the others, so that they may be several digits. */
  get scattered() {
    const boxes = this.#strokes.map(bounds);
    return boxes.some((a, i) => boxes.slice(0, i).some((b) => apart(a, b)));
  }

  /** The middle of the newest stroke, in pixels of the snapshot. */
  get newest() {
    const box = bounds(this.#strokes.at(-1));
    return { x: ((box.left + box.right) / 2) * SNAPSHOT, y: ((box.top + box.bottom) / 2) * SNAPSHOT };
  }

  clear() {
    if (this.empty) return;
    this.#cleared = this.#strokes;
    this.#strokes = [];
    this.#lift();
    this.#changed();
  }

  /** Take the last stroke away, or bring back what was cleared. */
  undo() {
    if (!this.undoable) return;
    this.#lift();
    if (this.empty) [this.#strokes, this.#cleared] = [this.#cleared, []];
    else this.#strokes.pop();
    this.#changed();
  }

  /** A PNG of the strokes, black on white, the same on every screen and in every theme. */
  snapshot() {
    const canvas = document.createElement("canvas");
    canvas.width = SNAPSHOT * ASPECT;
    canvas.height = SNAPSHOT;
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = context.strokeStyle = "#000";
    for (const points of this.#strokes) drawStroke(context, points, SNAPSHOT);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  /** Draw again at the next frame: after a change of strokes, size or theme. */
  redraw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    const canvas = this.#canvas;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const context = this.#context;
    context.clearRect(0, 0, width, height);
    context.fillStyle = context.strokeStyle = getComputedStyle(canvas).color;
    for (const points of this.#strokes) drawStroke(context, points, height);
    if (this.#cursor.shown) this.#drawCursor(context, height, ratio);
  }

  #drawCursor(context, scale, ratio) {
    const [x, y] = [this.#cursor.x * scale, this.#cursor.y * scale];
    context.strokeStyle = context.fillStyle = getComputedStyle(this.#canvas).caretColor;
    context.lineWidth = 2 * ratio;
    context.beginPath();
    context.arc(x, y, (STROKE * scale) / 2 + 3 * ratio, 0, 2 * Math.PI);
    context.stroke();
    context.beginPath();
    context.arc(x, y, (this.#stroke ? 5 : 2) * ratio, 0, 2 * Math.PI);
    context.fill();
  }

  #changed() {
    this.redraw();
    this.changed();
  }

  #point(event) {
    const box = this.#canvas.getBoundingClientRect();
    const pressed = event.pointerType === "pen" && event.pressure > 0 ? 0.5 + event.pressure : 1;
    return { x: (event.clientX - box.left) / box.height, y: (event.clientY - box.top) / box.height, width: STROKE * pressed };
  }

  #down(event) {
    if (event.button !== 0 || this.#pointer !== null) return;
    this.#lift();
    this.#cursor.shown = false;
    this.#pointer = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#begin(this.#point(event));
    this.#changed();
  }

  #begin(point) {
    this.#cleared = [];
    this.#stroke = [point];
    this.#strokes.push(this.#stroke);
  }

  #move(event) {
    if (event.pointerId !== this.#pointer || !this.#stroke) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) {
      const [point, last] = [this.#point(one), this.#stroke.at(-1)];
      if (Math.hypot(point.x - last.x, point.y - last.y) > NEAR) this.#stroke.push(point);
    }
    this.#changed();
  }

  #up(event) {
    if (event.pointerId !== this.#pointer) return;
    this.#pointer = null;
    this.#stroke = null;
  }

  #lift() {
    if (this.#stroke && this.#pointer === null) this.pen(false);
    this.#stroke = null;
  }

  #leave() {
    this.#held.clear();
    this.#lift();
    this.#cursor.shown = false;
    this.redraw();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.#pointer !== null) return;
    if (event.key === " " || event.key === "Enter") {
      event.preventDefault();
      if (!event.repeat) this.#toggle();
    } else if (event.key in ARROWS) {
      event.preventDefault();
      this.#held.add(event.key);
      this.#step(event.shiftKey ? STEP / 4 : STEP);
    }
  }

  #toggle() {
    this.#cursor.shown = true;
    if (this.#stroke) {
      this.#lift();
      this.redraw();
      return;
    }
    this.#begin({ x: this.#cursor.x, y: this.#cursor.y, width: STROKE });
    this.pen(true);
    this.#changed();
  }

  #step(step) {
    const cursor = this.#cursor;
    cursor.shown = true;
    for (const key of this.#held) {
      const [right, down] = ARROWS[key];
      cursor.x = Math.min(Math.max(cursor.x + right * step, 0), ASPECT);
      cursor.y = Math.min(Math.max(cursor.y + down * step, 0), 1);
    }
    if (this.#stroke) {
      this.#stroke.push({ x: cursor.x, y: cursor.y, width: STROKE });
      this.#changed();
    } else {
      this.redraw();
    }
  }
}
