// Which digits of a drawing are one number: those that stand as close together as people write them.

const NARROW = 0.5; // of a digit's height: a 1 is given this much room, as it takes it in writing
const GAP = 0.38; // of a digit's height: what lies further apart is another number

const around = (boxes) => [0, 1, 2, 3].map((side) => (side < 2 ? Math.min : Math.max)(...boxes.map((box) => box[side])));

/** The room of a digit: its box, or more where it is narrow. */
function room([left, top, right, bottom], height) {
  const more = Math.max(0, NARROW * height - (right - left)) / 2;
  return { left: left - more, right: right + more };
}

function split(line) {
  const digits = line.numbers.flatMap((number) => number.digits);
  const heights = digits.map(({ box }) => box[3] - box[1]).sort((a, b) => a - b);
  const height = heights[Math.floor(heights.length / 2)];
  const groups = [];
  let edge = -Infinity;
  for (const digit of digits) {
    const { left, right } = room(digit.box, height);
    if (left - edge > GAP * height) groups.push([]);
    groups.at(-1).push(digit);
    edge = Math.max(edge, right);
  }
  const numbers = groups.map((group) => ({
    digits: group,
    text: group.map((digit) => digit.text).join(""),
    box: around(group.map((digit) => digit.box)),
  }));
  return { ...line, numbers, text: numbers.map((number) => number.text).join(" ") };
}

/** A page as `/api/read` tells it, with the digits of each line put into numbers by the gaps between them. */
export function inNumbers(page) {
  const lines = page.lines.map(split);
  return { ...page, lines, text: lines.map((line) => line.text).join("\n") };
}
