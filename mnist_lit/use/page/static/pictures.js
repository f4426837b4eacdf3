// Small pictures of 28 × 28 pixels: what the network sees, and where it looked.

export const SIDE = 28;
const HEAT = 8; // the heat is drawn this much finer than the digit, so that it is smooth

function canvasOf(side) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  return canvas;
}

/** A canvas with grey levels, row by row. */
export function greyCanvas(pixels) {
  const canvas = canvasOf(SIDE);
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  pixels.forEach((level, index) => image.data.set([level, level, level, 255], 4 * index));
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The same as a PNG, which the server takes exactly as it is. */
export function greyPng(pixels) {
  return new Promise((resolve) => greyCanvas(pixels).toBlob(resolve, "image/png"));
}

/** Transparent over violet and orange to yellow; `heat` from 0 to 1. */
function heatColour(heat) {
  const stops = [
    [88, 24, 120, 0],
    [150, 40, 120, 110],
    [230, 95, 50, 190],
    [252, 175, 40, 225],
    [255, 245, 150, 245],
  ];
  const place = Math.min(Math.max(heat, 0), 1) * (stops.length - 1);
  const index = Math.min(Math.floor(place), stops.length - 2);
  return stops[index].map((value, channel) => value + (place - index) * (stops[index + 1][channel] - value));
}

/** The digit, dimmed, with the attention (0 to 255) glowing over it. */
export function heatCanvas(pixels, attention) {
  const heat = canvasOf(SIDE);
  const image = heat.getContext("2d").createImageData(SIDE, SIDE);
  attention.forEach((level, index) => image.data.set(heatColour(level / 255), 4 * index));
  heat.getContext("2d").putImageData(image, 0, 0);

  const canvas = canvasOf(SIDE * HEAT);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(greyCanvas(pixels), 0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(heat, 0, 0, canvas.width, canvas.height);
  // The strokes once more, thinly, so that one sees what was looked at.
  context.globalAlpha = 0.35;
  context.globalCompositeOperation = "lighten";
  context.imageSmoothingEnabled = false;
  context.drawImage(greyCanvas(pixels), 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** A figure with a caption; the picture is described by `label` for those who do not see it. */
export function figure(canvas, caption, label, title = "") {
  const element = document.createElement("figure");
  if (canvas) {
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", label);
    element.append(canvas);
  } else {
    const empty = document.createElement("div");
    empty.className = "empty";
    element.append(empty);
  }
  const text = document.createElement("figcaption");
  text.textContent = caption;
  if (title) text.title = title;
  element.append(text);
  return element;
}
