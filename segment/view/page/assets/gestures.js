// Gestures of mouse and touch on a canvas.

class Gestures {
  /**
   * `actions` are press(point) and drag(point, right, down) with one finger or button; move(right, down) with Shift,
   * another button or two fingers; zoom(factor, point) with two fingers; wheel(event, point); and reset() with a double
   * click. A point is its distance from the canvas's upper left corner, in CSS pixels like all lengths.
   */
  constructor(canvas, actions) {
    Object.assign(this, { canvas, actions, pointers: new Map() });
    canvas.addEventListener('wheel', (event) => {
      event.preventDefault();
      actions.wheel(event, this.pointOf(event));
    }, { passive: false });
    canvas.addEventListener('pointerdown', (event) => this.press(event));
    canvas.addEventListener('pointermove', (event) => this.drag(event));
    for (const kind of ['pointerup', 'pointercancel']) {
      canvas.addEventListener(kind, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener('dblclick', () => actions.reset());
  }

  pointOf(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  press(event) {
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.pointOf(event));
    if (this.pointers.size === 1 && !event.shiftKey && event.button === 0) this.actions.press(this.pointOf(event));
  }

  drag(event) {
    const { actions } = this;
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const point = this.pointOf(event);
    const [right, down] = [point[0] - before[0], point[1] - before[1]];
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, point);
    if (other) {
      const spread = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
      actions.move(right / 2, down / 2);
      actions.zoom(spread(point) / spread(before), [(point[0] + other[0]) / 2, (point[1] + other[1]) / 2]);
    } else if (event.shiftKey || event.buttons > 1) actions.move(right, down);
    else actions.drag(point, right, down);
  }
}

/** Call the action of a pressed key; keys with Ctrl, Alt or Command are the browser's. */
function pressKey(event, actions) {
  if (!(event.key in actions) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  actions[event.key]();
}
