// One plane of a scan on a canvas: the picture in true proportions, contours, crosshair, scale bar, letters.

const PLANE_NAMES = ['sagittal', 'coronal', 'axial'];
const SIDES = ['RL', 'AP', 'SI']; // of positive and negative RAS+ coordinates
const MAX_ZOOM = 16;

class Plane {
  /** `view` holds what the planes share: scan, volumes, crosshair (`voxel`), window and toggles. */
  constructor(view, axis) {
    this.view = view;
    this.axis = axis;
    this.zoom = 1;
    this.shift = [0, 0]; // of the picture's middle, in CSS pixels
    this.contours = new Map();
    this.picture = document.createElement('canvas');
    const help = 'arrow keys move the crosshair, Page Up and Page Down change the slice, + and − zoom, 0 resets';
    this.canvas = element('canvas', { tabindex: 0, role: 'img', 'aria-label': `${PLANE_NAMES[axis]} plane; ${help}` });
    this.position = element('span', { class: 'position' });
    this.slider = element('input', {
      type: 'range', min: 0, max: view.scan.shape[axis] - 1, 'aria-label': `${PLANE_NAMES[axis]} slice`,
      oninput: () => view.moveTo(axis, Number(this.slider.value)),
    });
    const frame = element('div', { class: 'frame' }, this.canvas, this.letters());
    this.element = element('figure', { class: 'plane' }, element('figcaption', {}, this.position), frame, this.slider);
    this.listen();
  }

  letters() {
    const [across, down] = PICTURE_AXES[this.axis].map((axis) => this.view.scan.letters[axis]);
    const sides = { left: across[0], right: across[1], top: down[0], bottom: down[1] };
    return Object.entries(sides).map(([side, letter]) => element('span', { class: `letter ${side}` }, letter));
  }

  listen() {
    new Gestures(this.canvas, {
      press: (point) => this.aim(point),
      drag: (point) => this.aim(point),
      move: (right, down) => this.moveBy(right, down),
      zoom: (factor, point) => this.zoomBy(factor, point),
      wheel: (event, point) => {
        if (event.ctrlKey) this.zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15, point);
        else this.step(Math.sign(event.deltaY));
      },
      reset: () => this.reset(),
    });
    this.canvas.addEventListener('keydown', (event) => this.key(event));
  }

  key(event) {
    const [across, down] = PICTURE_AXES[this.axis];
    pressKey(event, {
      ArrowLeft: () => this.view.moveBy(across, -1),
      ArrowRight: () => this.view.moveBy(across, 1),
      ArrowUp: () => this.view.moveBy(down, -1),
      ArrowDown: () => this.view.moveBy(down, 1),
      PageUp: () => this.step(-1),
      PageDown: () => this.step(1),
      '+': () => this.zoomBy(1.25),
      '=': () => this.zoomBy(1.25),
      '-': () => this.zoomBy(0.8),
      0: () => this.reset(),
    });
  }

  step(slices) {
    this.view.moveBy(this.axis, slices);
  }

  /** Put the crosshair on a point of the canvas. */
  aim(point) {
    const { left, top, scale } = this.layout();
    PICTURE_AXES[this.axis].forEach((axis, side) => {
      const index = Math.floor((point[side] - [left, top][side]) / (scale * this.view.scan.spacing_mm[axis]));
      this.view.moveTo(axis, index);
    });
  }

  moveBy(right, down) {
    this.shift = [this.shift[0] + right, this.shift[1] + down];
    this.view.redraw();
  }

  /** Zoom around a point of the canvas, by default its middle. */
  zoomBy(factor, point = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2]) {
    const zoom = Math.min(MAX_ZOOM, Math.max(1, this.zoom * factor));
    const middle = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2];
    this.shift = this.shift.map((shift, side) => {
      const offset = point[side] - middle[side];
      return zoom === 1 ? 0 : offset - ((offset - shift) * zoom) / this.zoom;
    });
    this.zoom = zoom;
    this.view.redraw();
  }

  reset() {
    this.zoom = 1;
    this.shift = [0, 0];
    this.view.redraw();
  }

  /** Upper left corner of the picture and CSS pixels per mm. */
  layout() {
    const { spacing_mm: spacing, shape } = this.view.scan;
    const [width, height] = PICTURE_AXES[this.axis].map((axis) => shape[axis] * spacing[axis]);
    const { clientWidth, clientHeight } = this.canvas;
    const scale = this.zoom * Math.min(clientWidth / width, clientHeight / height);
    return {
      left: (clientWidth - width * scale) / 2 + this.shift[0],
      top: (clientHeight - height * scale) / 2 + this.shift[1],
      scale,
    };
  }

  draw() {
    const { view, axis, canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (!wide || !high) return;
    if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
    const context = canvas.getContext('2d');
    const { left, top, scale } = this.layout();
    const [across, down] = PICTURE_AXES[axis].map((other) => view.scan.spacing_mm[other] * scale);
    this.paint();
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = '#000';
    context.fillRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    context.imageSmoothingEnabled = this.zoom < 6;
    context.drawImage(this.picture, left, top, this.picture.width * across, this.picture.height * down);
    this.drawContours(context, new DOMMatrix([across, 0, 0, down, left, top]));
    this.drawCrosshair(context, left, top, across, down);
    drawScaleBar(context, scale, canvas.clientWidth, canvas.clientHeight);
    this.label();
  }

  /** Fill `picture` with the windowed slice. */
  paint() {
    const { view, axis } = this;
    const { values, width, height } = planeOf(view.image, view.scan.shape, axis, view.voxel[axis]);
    if (this.picture.width !== width || this.picture.height !== height) {
      [this.picture.width, this.picture.height] = [width, height];
    }
    const pixels = new ImageData(width, height);
    const words = new Uint32Array(pixels.data.buffer);
    for (let i = 0; i < values.length; i += 1) words[i] = view.grays[values[i]];
    this.picture.getContext('2d').putImageData(pixels, 0, 0);
  }

  drawContours(context, matrix) {
    const { view } = this;
    view.organs.forEach((organ, index) => {
      if (!organ.shown) return;
      if (view.shown.prediction) {
        strokePath(context, this.contour('prediction', index + 1), matrix, organ.color, 1.8, []);
      }
      if (view.reference && view.shown.reference) {
        const path = this.contour('reference', index + 1);
        strokePath(context, path, matrix, '#000', 2.4, []);
        strokePath(context, path, matrix, '#fff', 1.3, [5, 3]);
      }
    });
  }

  contour(volume, organ) {
    const { view, axis } = this;
    const slice = `${volume} ${view.voxel[axis]}`;
    if (this.contours.get(volume)?.slice !== slice) {
      const plane = planeOf(view[volume], view.scan.shape, axis, view.voxel[axis]);
      this.contours.set(volume, { slice, plane, paths: new Map() });
    }
    const { plane, paths } = this.contours.get(volume);
    if (!paths.has(organ)) paths.set(organ, contourOf(plane, organ));
    return paths.get(organ);
  }

  drawCrosshair(context, left, top, across, down) {
    if (!this.view.shown.crosshair) return;
    const [columns, rows] = PICTURE_AXES[this.axis];
    const x = left + (this.view.voxel[columns] + 0.5) * across;
    const y = top + (this.view.voxel[rows] + 0.5) * down;
    const { clientWidth, clientHeight } = this.canvas;
    const gap = 9; // around the point itself, which stays visible
    context.beginPath();
    for (const [x1, y1, x2, y2] of [
      [0, y, x - gap, y], [x + gap, y, clientWidth, y], [x, 0, x, y - gap], [x, y + gap, x, clientHeight],
    ]) {
      context.moveTo(x1, y1);
      context.lineTo(x2, y2);
    }
    context.setLineDash([]);
    context.lineWidth = 1;
    context.strokeStyle = 'rgba(120, 255, 120, 0.55)';
    context.stroke();
  }

  label() {
    const { view, axis } = this;
    const index = view.voxel[axis];
    const middle = view.scan.shape.map((length) => (length - 1) / 2);
    middle[axis] = index;
    const place = positionWords(SIDES[axis], millimeters(view.scan.affine, middle)[axis]);
    this.position.textContent = `${PLANE_NAMES[axis]}, ${place} (slice ${index + 1} of ${view.scan.shape[axis]})`;
    this.slider.value = index;
  }
}

function strokePath(context, path, matrix, color, width, dash) {
  if (!path) return;
  const placed = new Path2D();
  placed.addPath(path, matrix);
  context.setLineDash(dash);
  context.lineWidth = width;
  context.lineJoin = 'round';
  context.lineCap = dash.length ? 'butt' : 'round';
  context.strokeStyle = color;
  context.stroke(placed);
}

/** A bar of a round length that is at most a third of the canvas, in its lower left corner. */
function drawScaleBar(context, scale, width, height) {
  const lengths = [200, 100, 50, 20, 10, 5, 2, 1].filter((length) => length * scale < width / 3);
  if (!lengths.length) return;
  const [x, y, end] = [12, height - 12, 12 + lengths[0] * scale];
  context.setLineDash([]);
  for (const [color, thick] of [['#000', 4], ['#fff', 2]]) {
    context.strokeStyle = color;
    context.lineWidth = thick;
    context.beginPath();
    context.moveTo(x, y - 4);
    context.lineTo(x, y);
    context.lineTo(end, y);
    context.lineTo(end, y - 4);
    context.stroke();
  }
  const words = lengths[0] >= 10 ? `${lengths[0] / 10} cm` : `${lengths[0]} mm`;
  context.font = '12px system-ui, sans-serif';
  context.lineWidth = 3;
  context.strokeStyle = '#000';
  context.strokeText(words, x + 4, y - 6);
  context.fillStyle = '#fff';
  context.fillText(words, x + 4, y - 6);
}
