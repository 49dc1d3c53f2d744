// Builds the page from its data.

// `data-ready` on the root says for tests that everything is drawn.
const pageData = JSON.parse(document.getElementById('data').textContent);
const pages = { prediction: predictionPage, run: runPage, sweep: sweepPage, comparison: comparisonPage, dataset: datasetPage, curve: curvePage, rank: rankPage };
document.getElementById('page').append(...pages[pageData.kind](pageData).filter((part) => part !== null));
if (pageData.kind !== 'prediction' || !pageData.cases.some((one) => one.scan)) document.documentElement.dataset.ready = 'page';
