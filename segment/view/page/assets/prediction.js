// The page of a prediction: one case at a time, with its organs and the scan viewer.

function predictionPage(data) {
  const place = element('div', { class: 'case' });
  const choose = (index) => showCase(place, data, data.cases[index]);
  const parts = [heading(data), notesOf(data.notes)];
  if (data.cases.length > 1) parts.push(caseList(data, choose));
  if (data.cases.length) choose(0);
  return [...parts, place, footer(data)];
}

/** A button for each case; those with remarks come first in the data. */
function caseList(data, choose) {
  const buttons = data.cases.map((one, index) => {
    const remarks = one.organs.filter((organ) => organ.remarks.length).length;
    const press = () => {
      buttons.forEach((button, i) => button.setAttribute('aria-pressed', String(i === index)));
      choose(index);
    };
    const count = remarks ? element('span', { class: 'faint' }, ` ${remarks} with remarks`) : null;
    return element('button', { type: 'button', onclick: press }, name(one.name), count);
  });
  buttons[0].setAttribute('aria-pressed', 'true');
  const found = filterField('find a case', (words) => buttons.forEach((button, index) => {
    button.hidden = !data.cases[index].name.toLowerCase().includes(words);
  }));
  return element('nav', { class: 'cases', 'aria-label': 'cases' }, found, element('div', { class: 'list' }, buttons));
}

async function showCase(place, data, one) {
  place.viewer?.close();
  place.viewer = null;
  place.shown = one; // also without a scan, because that of another case may still be read
  const status = element('p', { class: 'faint', role: 'status' }, 'Reading the scan …');
  const title = element('h2', {}, name(one.name));
  const notes = notesOf(one.notes) ?? '';
  place.replaceChildren(title, organTable(data.organs, one.organs), one.scan ? status : notes);
  if (!one.scan) return;
  try {
    const viewer = await Viewer.open(one, data.organs);
    if (place.shown !== one) { // another case was chosen meanwhile
      viewer.close();
      return;
    }
    place.viewer = viewer;
    status.replaceWith(viewer.element, notes);
    viewer.drawAll();
    document.documentElement.dataset.ready = 'viewer';
  } catch (error) {
    status.textContent = `The scan cannot be shown: ${error.message}`;
    throw error;
  }
}

function organTable(organs, rows) {
  const cells = rows.map((row, index) => [
    element('span', {}, swatch(organs[index].color), name(organWords(row.organ))),
    volumeWords(row.volume_ml),
    row.range_ml ? rangeBar(row) : '–',
    row.hu_mean === null ? '–' : `${row.hu_mean.toFixed(0)} ± ${row.hu_sd.toFixed(0)}`,
    row.range_hu ? `${row.range_hu[0]} to ${row.range_hu[1]}` : '–',
    row.cut.length ? row.cut.join(', ') : 'no',
    row.confidence ? confidenceWords(row.confidence) : '–',
    row.remarks.length ? element('span', { class: 'warning' }, row.remarks.join('; ')) : '',
  ]);
  const headings = ['organ', '>volume', 'plausible mL', '>mean HU ± SD', '>plausible median HU', 'cut by the scan', 'confidence', 'remarks'];
  return table(headings, cells, { class: 'organs' });
}

/** The colour as a dot and a word, and the predicted Dice with its interval. */
function confidenceWords(one) {
  const color = element('span', { class: `confidence ${one.color ?? 'unknown'}` }, one.color ?? 'unknown');
  if (one.dice === null) return color;
  const [dice, low, high] = [one.dice, one.low, one.high].map((value) => value.toFixed(2));
  return element('span', {}, color, ` Dice ${dice} (${low} to ${high})`);
}

/** The plausible range as a bar over a logarithmic scale, with a mark at the volume. */
function rangeBar(row) {
  const [low, high] = row.range_ml;
  const [start, end] = [Math.log(low / 3), Math.log(high * 3)];
  const place = (value) => Math.min(100, Math.max(0, (100 * (Math.log(value) - start)) / (end - start)));
  const bar = svg('svg', { viewBox: '0 0 100 12', class: 'range', 'aria-hidden': 'true' },
    svg('rect', { x: 0, y: 5, width: 100, height: 2, class: 'grid' }),
    svg('rect', { x: place(low), y: 3, width: place(high) - place(low), height: 6, class: 'plausible' }),
    row.volume_ml > 0 ? svg('rect', { x: place(row.volume_ml) - 1.5, y: 0, width: 3, height: 12, class: 'mark' }) : null);
  return element('span', { class: 'ranged' }, bar, `${low} to ${high}`);
}

function heading(data) {
  const sweep = data.sweep && element('p', {}, 'Part of the sweep ', element('a', { href: data.sweep.path }, name(data.sweep.name)));
  return element('header', {}, element('h1', {}, name(data.title)), element('p', { class: 'faint' }, data.subtitle), sweep);
}

function notesOf(notes) {
  return notes?.length ? element('ul', { class: 'notes' }, notes.map((note) => element('li', {}, note))) : null;
}

function footer(data) {
  const words = `Made by segment ${data.version} for research; not a medical device. This file holds everything it shows and`
    + ' requests nothing from a network.';
  return element('footer', { class: 'faint' }, words);
}

/** A search field that calls `filter` with its words in lower case. */
function filterField(label, filter) {
  const field = element('input', {
    type: 'search', placeholder: label, 'aria-label': label, oninput: () => filter(field.value.toLowerCase().trim()),
  });
  return field;
}
