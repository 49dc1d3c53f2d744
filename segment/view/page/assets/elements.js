// Elements and numbers. Text from files reaches the page through textContent only, so it can never become markup.

/** An element with properties (`class`, `on<event>` and attributes) and children (elements or text; null is left out). */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  fill(made, properties, children);
  return made;
}

/** The same for SVG. */
function svg(tag, properties = {}, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  fill(made, properties, children);
  return made;
}

function fill(made, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
}

/** A coloured square, the sign of an organ. */
function swatch(color) {
  const made = element('span', { class: 'swatch', 'aria-hidden': 'true' });
  made.style.backgroundColor = color;
  return made;
}

/** Text of unknown direction, e.g. a name in Arabic, which must not turn the text around it. */
function name(text) {
  return element('bdi', { class: 'name' }, String(text));
}

/** right_kidney → right kidney */
function organWords(organ) {
  return organ.replaceAll('_', ' ');
}

/** A volume with three digits, e.g. "1430 mL", "0.52 mL". */
function volumeWords(milliliters) {
  return `${digits(milliliters, 3)} mL`;
}

function digits(value, count) {
  if (value === 0) return '0';
  const decimals = Math.max(0, count - 1 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(decimals, 8));
}

/** "-" for a missing number. */
function fixed(value, decimals) {
  return value === null || value === undefined ? '–' : value.toFixed(decimals);
}

/** A coordinate with the letter of its side: "L 79 mm" for the sides "RL" and -79. */
function positionWords(sides, millimeters) {
  const rounded = Math.round(millimeters);
  return `${sides[rounded < 0 ? 1 : 0]} ${Math.abs(rounded)} mm`;
}

/** A table; cells are elements or text, and columns whose heading starts with ">" are aligned to the right. */
function table(headings, rows, properties = {}) {
  const right = headings.map((heading) => heading.startsWith('>'));
  const cells = (tag, row) => row.map((cell, index) => element(tag, { class: right[index] ? 'number' : null }, cell));
  const head = element('tr', {}, cells('th', headings.map((heading) => heading.replace('>', ''))));
  const body = rows.map((row) => element('tr', {}, cells('td', row)));
  const made = element('table', properties, element('thead', {}, head), element('tbody', {}, body));
  return element('div', { class: 'scroll' }, made);
}
