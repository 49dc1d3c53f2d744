// Pictures of the organs from all sides, turned by dragging, by the slider or by the arrow keys.

class Turntable {
  /** `sides` are the letters at the low and the high end of each axis of the scan. */
  constructor(entry, sides) {
    Object.assign(this, { entry, letters: [...sides[0], ...sides[1]] });
    this.frame = 0;
    this.canvas = element('canvas', { tabindex: 0, role: 'img', 'aria-label': 'organs in 3D; arrow keys turn them' });
    this.slider = element('input', {
      type: 'range', min: 0, max: entry.frames - 1, value: 0, 'aria-label': 'turn the organs',
      oninput: () => this.turnTo(Number(this.slider.value)),
    });
    const caption = '3D, the organs of the prediction: drag to turn';
    const frame = element('div', { class: 'frame' }, this.canvas);
    this.element = element('figure', { class: 'plane turntable' }, element('figcaption', {}, caption), frame, this.slider);
    this.sheet = new Image();
    this.sheet.addEventListener('load', () => this.draw());
    this.sheet.src = `data:image/webp;base64,${document.getElementById(entry.image).textContent}`;
    this.listen();
  }

  listen() {
    let from = null;
    this.canvas.addEventListener('pointerdown', (event) => {
      from = { x: event.clientX, frame: this.frame };
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener('pointermove', (event) => {
      // A drag across the whole picture is one turn.
      if (from) this.turnTo(from.frame + ((event.clientX - from.x) / this.canvas.clientWidth) * this.entry.frames);
    });
    for (const kind of ['pointerup', 'pointercancel']) this.canvas.addEventListener(kind, () => { from = null; });
    this.canvas.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      this.turnTo(this.frame + step);
    });
  }

  turnTo(frame) {
    const { frames } = this.entry;
    this.frame = ((Math.round(frame) % frames) + frames) % frames;
    this.slider.value = this.frame;
    this.draw();
  }

  draw() {
    const { canvas, entry } = this;
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [canvas.clientWidth, canvas.clientHeight];
    if (!wide || !this.sheet.complete) return;
    [canvas.width, canvas.height] = [Math.round(wide * ratio), Math.round(high * ratio)];
    const context = canvas.getContext('2d');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = '#000'; // a browser prints what is transparent in white, not in the colour of the frame
    context.fillRect(0, 0, wide, high);
    const size = Math.min(wide, high);
    const [left, top] = [(wide - size) / 2, (high - size) / 2];
    this.drawRing(context, left, top, size);
    const [column, row] = [this.frame % entry.columns, Math.floor(this.frame / entry.columns)];
    context.drawImage(
      this.sheet, column * entry.size, row * entry.size, entry.size, entry.size, left, top, size, size,
    );
    this.drawLetters(context, left, top, size);
  }

  /** The ring under the organs, an ellipse through the four letters. */
  drawRing(context, left, top, size) {
    const points = this.entry.ring[0];
    const [x, y] = [(points[0][0] + points[1][0]) / 2, (points[2][1] + points[3][1]) / 2];
    const [wide, high] = [(points[1][0] - points[0][0]) / 2, (points[2][1] - points[3][1]) / 2];
    context.beginPath();
    context.ellipse(left + x * size, top + y * size, Math.abs(wide) * size, Math.abs(high) * size, 0, 0, 2 * Math.PI);
    context.strokeStyle = '#777';
    context.lineWidth = 1.5;
    context.stroke();
  }

  drawLetters(context, left, top, size) {
    context.font = 'bold 16px system-ui, sans-serif';
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    this.entry.ring[this.frame].forEach(([x, y, nearness], index) => {
      context.lineWidth = 4;
      context.strokeStyle = '#000';
      context.strokeText(this.letters[index], left + x * size, top + y * size);
      context.fillStyle = `rgb(${[0, 0, 0].map(() => 130 + 125 * nearness).join(',')})`; // at the back they are fainter
      context.fillText(this.letters[index], left + x * size, top + y * size);
    });
  }
}
