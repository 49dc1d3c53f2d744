// The scan viewer: three planes that share a crosshair, the organs in 3D, and the controls. Only turning the surfaces of
// the organs needs WebGL; without it, there are pictures from all sides.

// Names, and the HU in the middle and across of each window.
const WINDOWS = [['soft tissue', 40, 400], ['lung', -600, 1500], ['bone', 400, 1800], ['liver', 60, 160]];

class Viewer {
  /** Read the volumes and meshes of a case and build its viewer. `organs` are {name, color}. */
  static async open(one, organs) {
    const { scan } = one;
    const names = ['image', 'prediction', 'reference'].filter((volume) => scan[volume]);
    const volumes = await Promise.all(names.map((volume) => readVolume(scan[volume], scan.shape)));
    const viewer = new Viewer(scan, Object.fromEntries(names.map((volume, i) => [volume, volumes[i]])), organs);
    await viewer.addOrgans(one);
    return viewer;
  }

  constructor(scan, volumes, organs) {
    Object.assign(this, { scan, image: volumes.image, prediction: volumes.prediction, reference: volumes.reference });
    this.organs = organs.map((organ) => ({ ...organ, shown: true }));
    this.shown = { prediction: true, reference: true, crosshair: true };
    this.voxel = startOf(this.prediction, scan.shape);
    this.planes = [2, 1, 0].map((axis) => new Plane(this, axis));
    this.readout = element('p', { class: 'readout', role: 'status' });
    this.windowButtons = WINDOWS.map(([label], index) => element(
      'button', { type: 'button', title: `key ${index + 1}`, onclick: () => this.setWindow(index) }, label,
    ));
    this.grid = element('div', { class: 'planes' }, this.planes.map((plane) => plane.element));
    this.why = element('p', {});
    this.element = element('section', { class: 'viewer', 'aria-label': 'scan' },
      this.controls(), this.reference ? worstSlices(this) : '', this.readout, this.grid, this.explanation());
    this.element.addEventListener('keydown', (event) => this.key(event));
    this.observer = new ResizeObserver(() => this.redraw());
    this.observer.observe(this.grid);
    this.print = () => this.drawAll();
    window.addEventListener('beforeprint', this.print);
    this.setWindow(0);
  }

  /** Add the organs in 3D: by WebGL, or as pictures with a sentence that says why. */
  async addOrgans({ meshes, turntable }) {
    if (!meshes) {
      this.grid.append(element('p', { class: 'plane none' }, 'No organ was found, so there is nothing to show in 3D.'));
      return;
    }
    const showPictures = (reason) => this.showOrgans(new Turntable(turntable, this.scan.letters), reason);
    try {
      const surfaces = await Surfaces.open(this, meshes, () => showPictures('The graphics card has dropped this page'));
      if (surfaces) this.showOrgans(surfaces, null);
      else showPictures('This browser has no WebGL 2 (no graphics card, or it is switched off)');
    } catch (error) { // of the driver of a graphics card
      showPictures(`The 3D view does not work in this browser (${error.message})`);
    }
  }

  showOrgans(organs3d, reason) {
    if (this.organs3d) this.organs3d.element.replaceWith(organs3d.element);
    else this.grid.append(organs3d.element);
    this.organs3d = organs3d;
    this.why.textContent = reason ? `${reason}, so the 3D view is a set of pictures made beforehand: they show all `
      + 'organs, whatever is switched off above.' : '';
    this.redraw();
  }

  controls() {
    const toggles = this.organs.map((organ) => toggle(true, [swatch(organ.color), name(organWords(organ.name))], (on) => {
      organ.shown = on;
      this.redraw();
    }));
    const contour = (volume, label) => toggle(true, [label], (on) => {
      this.shown[volume] = on;
      this.redraw();
    });
    const lines = [
      contour('prediction', 'prediction (solid)'),
      this.reference ? contour('reference', 'reference (white, dashed)') : null,
      contour('crosshair', 'crosshair'),
    ];
    const zooms = [['+', 1.25, 'zoom in'], ['−', 0.8, 'zoom out']].map(([sign, factor, label]) => element(
      'button',
      { type: 'button', 'aria-label': label, onclick: () => this.pictures().forEach((picture) => picture.zoomBy(factor)) },
      sign,
    ));
    const reset = element(
      'button', { type: 'button', onclick: () => this.pictures().forEach((picture) => picture.reset()) }, 'reset zoom',
    );
    return element('div', { class: 'controls' },
      element('div', { role: 'group', 'aria-label': 'window' }, this.windowButtons),
      element('div', { role: 'group', 'aria-label': 'zoom' }, zooms, reset),
      element('div', { role: 'group', 'aria-label': 'organs' }, toggles),
      element('div', { role: 'group', 'aria-label': 'contours' }, lines));
  }

  /** What can be enlarged. */
  pictures() {
    return this.organs3d instanceof Surfaces ? [...this.planes, this.organs3d] : this.planes;
  }

  explanation() {
    const keys = 'Wheel or slider: slices. Click or drag: crosshair. Ctrl + wheel, two fingers, or + and −: zoom. '
      + 'Shift + drag: move. Double click or 0: reset. Arrow keys, Page Up, Page Down: crosshair and slices. 1 to 4: '
      + 'windows. In 3D, drag or arrow keys: turn; wheel, two fingers, or + and −: zoom.';
    return element('div', { class: 'faint' },
      this.scan.notes.map((note) => element('p', {}, note)),
      element('p', { class: 'screen' }, keys),
      this.why);
  }

  key(event) {
    const index = Number(event.key) - 1;
    if (event.target.tagName !== 'CANVAS' || !(index in WINDOWS) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.setWindow(index);
  }

  setWindow(index) {
    const [, middle, across] = WINDOWS[index];
    this.window = index;
    // One 32-bit pixel for each level; bytes are red, green, blue and alpha, which is the highest byte.
    this.grays = Uint32Array.from(this.scan.hu, (hu) => {
      const gray = Math.round(255 * Math.min(1, Math.max(0, (hu - middle) / across + 0.5)));
      return (0xff000000 | (gray << 16) | (gray << 8) | gray) >>> 0;
    });
    this.windowButtons.forEach((button, i) => button.setAttribute('aria-pressed', String(i === index)));
    this.redraw();
  }

  moveBy(axis, steps) {
    this.moveTo(axis, this.voxel[axis] + steps);
  }

  moveTo(axis, index) {
    this.voxel[axis] = Math.min(this.scan.shape[axis] - 1, Math.max(0, index));
    this.redraw();
  }

  /** Draw once before the next frame, however many changes there are until then. */
  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.drawAll();
    });
  }

  drawAll() {
    this.planes.forEach((plane) => plane.draw());
    this.organs3d?.draw();
    this.describe();
  }

  /** State HU, organ and position of the crosshair, and the window. */
  describe() {
    const { shape, hu, affine } = this.scan;
    const [i, j, k] = this.voxel;
    const at = i + shape[0] * (j + shape[1] * k);
    const level = this.image[at];
    const amount = Math.round(hu[level]);
    const bound = { 0: 'at most ', 255: 'at least ' }[level] ?? '';
    const organ = (voxels) => (voxels[at] ? organWords(this.organs[voxels[at] - 1].name) : 'none');
    const place = millimeters(affine, this.voxel).map((mm, axis) => positionWords(SIDES[axis], mm)).join(', ');
    const [label, middle, across] = WINDOWS[this.window];
    const parts = [`${bound}${amount} HU`, place, `prediction: ${organ(this.prediction)}`];
    if (this.reference) parts.push(`reference: ${organ(this.reference)}`);
    parts.push(`window: ${label}, ${middle - across / 2} to ${middle + across / 2} HU`);
    this.readout.textContent = parts.join(' · ');
  }

  close() {
    this.observer.disconnect();
    window.removeEventListener('beforeprint', this.print); // it would keep the volumes of this case in memory
    this.organs3d?.close?.();
  }
}

/** A checkbox with a label. */
function toggle(on, label, change) {
  const box = element('input', { type: 'checkbox', checked: on, onchange: () => change(box.checked) });
  return element('label', { class: 'toggle' }, box, label);
}
