// Outlines of the organs of a picture, by marching squares between the centres of pixels.

const STRIDE = 2 ** 20; // a point is one number: STRIDE * row + column, in half pixels
const [UP, RIGHT, DOWN, LEFT] = [1, STRIDE + 2, 2 * STRIDE + 1, STRIDE]; // middles of a square's edges
// Lines through a square by which corners are inside: upper left 1, upper right 2, lower right 4, lower left 8. All of
// them have the inside on the same hand, so each line starts where another one ends.
const SQUARES = [
  [], [[LEFT, UP]], [[UP, RIGHT]], [[LEFT, RIGHT]], [[RIGHT, DOWN]], [[LEFT, UP], [RIGHT, DOWN]], [[UP, DOWN]],
  [[LEFT, DOWN]], [[DOWN, LEFT]], [[DOWN, UP]], [[UP, RIGHT], [DOWN, LEFT]], [[DOWN, RIGHT]], [[RIGHT, LEFT]],
  [[RIGHT, UP]], [[UP, LEFT]], [],
];

/** A Path2D of closed lines around the pixels of one class, in pixels of the picture; null if it has none. */
function contourOf(picture, organ) {
  const next = linesOf(picture, organ);
  if (!next.size) return null;
  const path = new Path2D();
  while (next.size) {
    const [start] = next.keys();
    path.moveTo(...coordinates(start));
    let point = start;
    do { // until the line is back where it started
      const following = next.get(point);
      next.delete(point);
      point = following;
      if (point !== start) path.lineTo(...coordinates(point));
    } while (point !== start);
    path.closePath();
  }
  return path;
}

/** Pixels of the picture, whose corner is 0. Squares start in a border of background, one pixel outside. */
function coordinates(point) {
  return [(point % STRIDE) / 2 - 0.5, Math.floor(point / STRIDE) / 2 - 0.5];
}

/** The end of each line by its start. */
function linesOf({ values, width, height }, organ) {
  const next = new Map();
  const box = boxOf(values, width, height, organ);
  if (!box) return next;
  const inside = (column, row) =>
    column >= 0 && row >= 0 && column < width && row < height && values[row * width + column] === organ ? 1 : 0;
  // Each square has its corners at the centres of four pixels; a border of background closes organs at the edge.
  for (let row = box.top - 1; row <= box.bottom; row += 1) {
    for (let column = box.left - 1; column <= box.right; column += 1) {
      const corners = inside(column, row) | (inside(column + 1, row) << 1)
        | (inside(column + 1, row + 1) << 2) | (inside(column, row + 1) << 3);
      const corner = 2 * (STRIDE * (row + 1) + column + 1);
      for (const [from, to] of SQUARES[corners]) next.set(corner + from, corner + to);
    }
  }
  return next;
}

function boxOf(values, width, height, organ) {
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      if (values[row * width + column] !== organ) continue;
      if (column < left) left = column;
      if (column > right) right = column;
      if (row < top) top = row;
      bottom = row;
    }
  }
  return right < 0 ? null : { left, right, top, bottom };
}
