// The organs in 3D by WebGL: turned, moved and enlarged by mouse, touch and keyboard. The organ that would hide the
// others is translucent.

const START_PITCH = (18 * Math.PI) / 180; // the camera looks down by this angle, as in the pictures of the turntable
const KEY_TURN = Math.PI / 18;
const TRANSLUCENT = 0.5; // opacity where the surface faces the reader; more at its rim
const LETTER_ROOM = 0.14; // between the organs and a letter, in halves of the longest edge of their box
// A side of the body is labelled if at least this share of its axis lies in the picture. Otherwise letters would lie on
// each other in the middle.
const LEAST_IN_PICTURE = 0.4;
// Axes of the scan (L, P and I), their low (0) or high (1) end, and the direction of this end along x, y and z, which
// point to the patient's left, head and front.
const ENDS = [[0, 0, [-1, 0, 0]], [0, 1, [1, 0, 0]], [2, 1, [0, -1, 0]], [2, 0, [0, 1, 0]], [1, 1, [0, 0, -1]], [1, 0, [0, 0, 1]]];

const VERTEX_SHADER = `#version 300 es
uniform mat3 view; uniform vec3 scale; uniform vec2 shift;
in vec3 place; in vec3 normal;
out vec3 facing;
void main() {
  vec3 seen = view * place * scale;
  gl_Position = vec4(seen.xy + shift, -seen.z, 1.0);
  facing = view * normal;
}`;
const FRAGMENT_SHADER = `#version 300 es
precision highp float;
uniform vec3 color; uniform float opacity;
in vec3 facing;
out vec4 pixel;
const vec3 light = vec3(-0.451, 0.551, 0.702), halfway = vec3(-0.244, 0.299, 0.922);
void main() {
  vec3 n = normalize(facing);
  float gloss = pow(max(dot(n, halfway), 0.0), 16.0);
  vec3 lit = min(color * (0.28 + 0.72 * max(dot(n, light), 0.0)) + 0.2 * gloss, 1.0);
  float rim = (1.0 - abs(n.z)) * (1.0 - abs(n.z));
  float cover = mix(opacity, min(1.0, opacity + 0.5), rim);
  pixel = vec4(lit * cover, cover);
}`;

class Surfaces {
  /** The organs of a case; null in a browser without WebGL 2. `lost` is called if the graphics card drops the page. */
  static async open(view, entry, lost) {
    const canvas = element('canvas', { tabindex: 0, role: 'img',
      'aria-label': 'organs in 3D; arrow keys turn them, + and − zoom, 0 resets' });
    // Kept after drawing, because a page is printed later.
    const gl = canvas.getContext('webgl2', { antialias: true, preserveDrawingBuffer: true });
    if (!gl) return null;
    const meshes = await Promise.all(entry.meshes.map((mesh) => mesh && readMesh(mesh, entry)));
    return new Surfaces(view, entry, canvas, new SurfacePainter(gl, meshes), lost);
  }

  constructor(view, entry, canvas, painter, lost) {
    Object.assign(this, { view, entry, canvas, painter });
    this.translucent = entry.translucent !== null;
    this.letters = ENDS.map(([axis, end]) => element('span', { class: 'letter', 'aria-hidden': 'true' }, view.scan.letters[axis][end]));
    this.cross = element('span', { class: 'cross-mark', 'aria-hidden': 'true' });
    const caption = element('figcaption', {}, '3D, the organs of the prediction: drag to turn ', this.toggle());
    const frame = element('div', { class: 'frame' }, canvas, this.letters, this.cross);
    this.element = element('figure', { class: 'plane surfaces' }, caption, frame);
    this.toStart();
    this.lost = (event) => { event.preventDefault(); lost(); };
    canvas.addEventListener('webglcontextlost', this.lost);
    new Gestures(canvas, {
      press: () => {},
      // A drag across the picture is one turn; downwards, half of one.
      drag: (_, right, down) => this.turn((right / canvas.clientWidth) * 2 * Math.PI, (down / canvas.clientHeight) * Math.PI),
      move: (right, down) => this.move(right, down),
      zoom: (factor) => this.zoomBy(factor),
      wheel: (event) => this.zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15),
      reset: () => this.reset(),
    });
    canvas.addEventListener('keydown', (event) => this.key(event));
  }

  /** A checkbox that makes the largest organ opaque; null if there is only one organ. */
  toggle() {
    if (!this.translucent) return null;
    const organ = this.view.organs[this.entry.translucent];
    return toggle(true, [name(`see through the ${organWords(organ.name)}`)], (on) => {
      this.translucent = on;
      this.view.redraw();
    });
  }

  toStart() {
    Object.assign(this, { yaw: 0, pitch: START_PITCH, zoom: 1, shift: [0, 0] });
  }

  reset() {
    this.toStart();
    this.view.redraw();
  }

  turn(right, down) {
    this.yaw += right;
    this.pitch = Math.min(Math.PI / 2, Math.max(-Math.PI / 2, this.pitch + down));
    this.view.redraw();
  }

  move(right, down) {
    this.shift = [this.shift[0] + right, this.shift[1] + down];
    this.view.redraw();
  }

  zoomBy(factor) {
    this.zoom = Math.min(MAX_ZOOM, Math.max(1, this.zoom * factor));
    if (this.zoom === 1) this.shift = [0, 0];
    this.view.redraw();
  }

  key(event) {
    pressKey(event, {
      ArrowLeft: () => this.turn(-KEY_TURN, 0),
      ArrowRight: () => this.turn(KEY_TURN, 0),
      ArrowUp: () => this.turn(0, -KEY_TURN),
      ArrowDown: () => this.turn(0, KEY_TURN),
      '+': () => this.zoomBy(1.25),
      '=': () => this.zoomBy(1.25),
      '-': () => this.zoomBy(0.8),
      0: () => this.reset(),
    });
  }

  /** Rows of the rotation to right, up and towards the reader. */
  rotation() {
    const [c, s, ct, st] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
    return [[c, 0, s], [st * s, ct, -st * c], [-ct * s, st, ct * c]];
  }

  draw() {
    const { canvas, entry, painter } = this;
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [canvas.clientWidth, canvas.clientHeight];
    if (!wide || !high) return;
    [canvas.width, canvas.height] = [Math.round(wide * ratio), Math.round(high * ratio)];
    const radius = Math.hypot(...entry.half_mm) * 1.02; // of a ball around the organs
    const longest = Math.max(...entry.half_mm);
    const pixelsPerMm = (this.zoom * Math.min(wide, high)) / 2 / (Math.max(longest, 25) * (1 + 1.7 * LETTER_ROOM));
    const rows = this.rotation();
    painter.draw({
      rows,
      scale: [(2 * pixelsPerMm) / wide, (2 * pixelsPerMm) / high, 1 / (radius + 10)],
      shift: [(2 * this.shift[0]) / wide, (-2 * this.shift[1]) / high],
      organs: this.view.organs,
      translucent: this.translucent ? entry.translucent : null,
    });
    this.placeMarks(rows, pixelsPerMm, longest * LETTER_ROOM, wide, high);
  }

  /** Put the letters and the mark of the crosshair where they are in the picture. */
  placeMarks(rows, pixelsPerMm, room, wide, high) {
    const { entry, view } = this;
    const place = (mark, point) => {
      const [x, y] = rows.map((row) => row.reduce((sum, share, axis) => sum + share * point[axis], 0));
      const [left, top] = [0.5 + (this.shift[0] + x * pixelsPerMm) / wide, 0.5 + (this.shift[1] - y * pixelsPerMm) / high];
      // In percent, because a page that is printed is smaller.
      Object.assign(mark.style, { left: `${(100 * left).toFixed(2)}%`, top: `${(100 * top).toFixed(2)}%` });
    };
    ENDS.forEach(([, , direction], index) => {
      const axis = direction.findIndex(Boolean);
      place(this.letters[index], direction.map((sign, i) => sign * (entry.half_mm[i] + room)));
      const [inPicture, depth] = [Math.hypot(rows[0][axis], rows[1][axis]), rows[2][axis] * direction[axis]];
      this.letters[index].hidden = inPicture < LEAST_IN_PICTURE;
      this.letters[index].style.opacity = (0.75 + 0.25 * depth).toFixed(2); // at the back they are fainter
    });
    this.cross.hidden = !view.shown.crosshair;
    const [i, j, k] = view.voxel.map((index, axis) => (index + 0.5) * view.scan.spacing_mm[axis] - entry.middle_mm[axis]);
    place(this.cross, [i, -k, -j]);
  }

  close() {
    this.canvas.removeEventListener('webglcontextlost', this.lost);
    this.painter.close(); // browsers keep few contexts, and every case that is opened takes one
  }
}

/** Points in mm with their normals, and the triangles of a mesh. */
async function readMesh(mesh, entry) {
  const steps = await readIntegers(mesh.places, 3 * mesh.points);
  const corners = await readIntegers(mesh.corners, 3 * mesh.triangles);
  const points = new Float32Array(3 * mesh.points);
  for (let axis = 0; axis < 3; axis += 1) { // packed by axis
    for (let i = 0; i < mesh.points; i += 1) {
      points[3 * i + axis] = entry.low_mm[axis] + entry.step_mm * steps[axis * mesh.points + i];
    }
  }
  return { points, normals: normalsOf(points, corners), corners: new Uint32Array(corners) };
}

/** Sums of the normals of the triangles around each point; larger triangles count more. */
function normalsOf(points, corners) {
  const normals = new Float32Array(points.length);
  for (let i = 0; i < corners.length; i += 3) {
    const [a, b, c] = [3 * corners[i], 3 * corners[i + 1], 3 * corners[i + 2]];
    const [ux, uy, uz] = [points[b] - points[a], points[b + 1] - points[a + 1], points[b + 2] - points[a + 2]];
    const [vx, vy, vz] = [points[c] - points[a], points[c + 1] - points[a + 1], points[c + 2] - points[a + 2]];
    const normal = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
    for (const corner of [a, b, c]) for (let axis = 0; axis < 3; axis += 1) normals[corner + axis] += normal[axis];
  }
  return normals;
}

/** Whole numbers of a packed list, see meshes.py. */
async function readIntegers(blob, count) {
  const bytes = await unpack(bytesOf(document.getElementById(blob).textContent), 4 * count);
  const values = new Int32Array(count);
  let value = 0;
  for (let i = 0; i < count; i += 1) {
    const code = (bytes[i] | (bytes[count + i] << 8) | (bytes[2 * count + i] << 16) | (bytes[3 * count + i] << 24)) >>> 0;
    value += code & 1 ? -((code >>> 1) + 1) : code >>> 1;
    values[i] = value;
  }
  return values;
}
