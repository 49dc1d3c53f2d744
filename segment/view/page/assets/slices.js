// The axial slices in which prediction and reference differ most.

const [WORST_SLICES, APART_MM] = [6, 10]; // slices that are nearer to a worse one show the same

/** A button for each of the worst slices, which goes there; null if both agree everywhere. */
function worstSlices(view) {
  const apart = ({ index }, other) => Math.abs(index - other.index) * view.scan.spacing_mm[2] >= APART_MM - 1e-6;
  const found = differingAreas(view).filter(({ area }) => area > 0).sort((a, b) => b.area - a.area)
    .reduce((kept, one) => (kept.every((other) => apart(one, other)) ? [...kept, one] : kept), []).slice(0, WORST_SLICES);
  if (!found.length) return null;
  const middle = view.scan.shape.map((length) => (length - 1) / 2);
  const buttons = found.map(({ index, area, organ }) => {
    const place = positionWords(SIDES[2], millimeters(view.scan.affine, [middle[0], middle[1], index])[2]);
    const words = [`${place}: ${digits(area / 100, 2)} cm², `, name(organWords(view.organs[organ].name))];
    return element('button', { type: 'button', onclick: () => view.moveTo(2, index) }, words);
  });
  return element('div', { class: 'controls' }, element('div', { role: 'group', 'aria-label': 'worst slices' },
    element('span', { class: 'faint' }, 'Axial slices in which prediction and reference differ most, with the organ that differs most:'), buttons));
}

/** For each axial slice the area in mm² in which an organ is in one of both only, and the organ with most of it. */
function differingAreas({ scan, prediction, reference, organs }) {
  const [columns, rows, slices] = scan.shape;
  const pixel = scan.spacing_mm[0] * scan.spacing_mm[1];
  return Array.from({ length: slices }, (_, index) => {
    const counts = new Uint32Array(organs.length + 1);
    let differing = 0;
    for (let at = index * columns * rows; at < (index + 1) * columns * rows; at += 1) {
      if (prediction[at] !== reference[at]) {
        differing += 1;
        counts[prediction[at]] += 1;
        counts[reference[at]] += 1;
      }
    }
    counts[0] = 0; // background
    return { index, area: differing * pixel, organ: counts.indexOf(Math.max(...counts)) - 1 };
  });
}
