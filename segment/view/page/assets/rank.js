// The page of a ranking: CTs without label in the order in which to annotate them.

const FIRST_RANKED = 60; // CTs before "show all"

function rankPage(data) {
  return [
    heading(data),
    section('Result', [element('ul', { class: 'answers' }, data.sentences.map((one) => element('li', {}, name(one)))), notesOf(data.notes)]),
    section('CTs', [rankWords(data), legendOf(data), rankList(data)]),
    footer(data),
  ];
}

function rankWords(data) {
  const labelled = data.has_labelled ? ' and with labelled CTs' : '';
  const words = 'A CT comes early if the predicted Dice is low for it and for many CTs like it. Similarity, from 0 to 1, compares scanner,'
    + ` body and organs with the CTs above${labelled}. Pictures: coronal and axial, with the contours of the mask; the patient’s right is on the left.`;
  return element('p', { class: 'faint' }, words);
}

function rankList(data) {
  const list = element('ol', { class: 'ranked' });
  const more = element('button', { type: 'button', onclick: () => draw(data.cts.length) }, `show all ${data.cts.length} CTs`);
  function draw(count) {
    list.replaceChildren(...data.cts.slice(0, count).map((one) => rankedCT(data, one)));
    more.hidden = count >= data.cts.length;
  }
  draw(FIRST_RANKED);
  return element('div', {}, list, more);
}

function rankedCT(data, one) {
  const adds = `adds ${percent(one.adds)}, together ${percent(one.together)}`;
  return element('li', { class: 'opened' }, element('h3', {}, `${one.position}. `, name(one.file)), pictureOf(one),
    element('div', {}, element('p', {}, `${adds}; predicted Dice ${fixed(one.dice, 2)}`),
      likeness('most similar above', one.nearest, one.similarity), likeness('most similar with a label', one.nearest_labelled, one.similarity_labelled),
      one.differs ? element('p', { class: 'faint' }, 'differs in ', name(organWords(one.differs))) : null, rankedOrgans(data, one)));
}

function likeness(words, other, similarity) {
  return other === null ? null : element('p', { class: 'faint' }, `${words}: `, name(other), ` (${fixed(similarity, 2)})`);
}

function rankedOrgans(data, one) {
  const rows = Object.entries(one.organs).map(([organ, found]) => [
    organLabel(data, organ), element('span', { class: `confidence ${found.color ?? 'unknown'}` }, fixed(found.dice, 2)), name(found.reasons.join('; ')),
  ]);
  return table(['organ', '>predicted Dice', 'remarks'], rows, { class: 'compact' });
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
