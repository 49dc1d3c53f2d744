// The page of a learning curve: an answer for each organ, the picture, what was measured and what is predicted.

function curvePage(data) {
  return [
    heading(data),
    section('Answer', [element('ul', { class: 'answers' }, data.organs.map((one) => element('li', {}, name(one.sentence))))]),
    section('Curve', [curveFigure(data)]),
    section('Dice by number of training CTs', [curveTable(data)]),
    section('Trainings', [trainingsTable(data)]),
    footer(data),
  ];
}

function curveFigure(data) {
  const words = `Intervals of 90 %, over ${data.test} test patients and the trainings of each number of CTs. Dashed: the Dice that is`
    + ` asked for, ${data.target}. Dotted: the ${data.have} CTs that can train, beside ${data.validate} patients that validate.`
    + ` The trainings have ${data.steps}.`;
  return element('figure', { class: 'figure' }, element('img', {
    src: `data:image/png;base64,${document.getElementById(data.figure).textContent}`, alt: 'Dice over the number of training CTs, by organ',
  }), element('figcaption', { class: 'faint' }, words));
}

/** Measured Dice, and below it the Dice of the curve, for the numbers that were trained and for those that are there. */
function curveTable(data) {
  const trained = data.organs.flatMap((one) => Object.keys(one.measured));
  const columns = [...new Set([...trained, String(data.have), String(2 * data.have)])].sort((a, b) => a - b);
  const rows = data.organs.map((one) => [name(organWords(one.organ)), ...columns.map((cts) => element('span', {},
    estimateWords(one.measured[cts]), element('br'), element('span', { class: 'faint' }, estimateWords(one.predicted[cts]))))]);
  return element('div', {}, element('p', { class: 'faint' }, 'Measured; below, as the curve predicts it.'),
    table(['organ', ...columns.map((cts) => `>${cts}`)], rows, { class: 'scores' }));
}

function estimateWords(estimate) {
  return estimate ? `${fixed(estimate.value, 3)} (${fixed(estimate.low, 3)} to ${fixed(estimate.high, 3)})` : '–';
}

function trainingsTable(data) {
  const rows = data.trainings.map((one) => [
    one.page ? element('a', { href: one.page }, `trial ${one.trial}`) : `trial ${one.trial}`, String(one.cts), String(one.repeat),
    one.state === 'complete' ? 'finished' : one.state, fixed(one.validation, 4), name(one.why),
  ]);
  return table(['training', '>CTs', '>repeat', 'state', '>best validation score', 'why'], rows, { class: 'compact' });
}
