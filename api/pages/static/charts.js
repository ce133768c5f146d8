// Statistics: the table of rates over time, drawn. What is drawn stands in the table; who cannot see one reads the other.

const HEIGHT = 150;
const table = document.getElementById("series");
const zone = table?.dataset.zone;
const hourly = table?.dataset.bucket === "hour";
const format = (language, options) => new Intl.DateTimeFormat(language, { timeZone: zone, ...options });
const month = format("en-US", { month: "short" }); // as in words.py; British months are "Sept"
const dayOf = format("en-US", { day: "numeric" });
const weekday = format("en-US", { weekday: "short" });
const clock = format("en-GB", { hour: "2-digit", minute: "2-digit" });
const date = (at) => `${dayOf.format(at)} ${month.format(at)}`;
const short = (at) => (hourly ? clock.format(at) : date(at));
const long = (at) => (hourly ? `${weekday.format(at)} ${date(at)} ${clock.format(at)}` : `${weekday.format(at)} ${date(at)}`);
const moment = (seconds) => new Date(seconds * 1000);
const number = new Intl.NumberFormat("en-US");
const percent = (value) => (value === null ? "–" : `${(value * 100).toFixed(1)} %`);
const charts = [];

function colour(name) {
  const probe = document.createElement("i");
  probe.className = `probe-${name}`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function read(rate) {
  return [...table.tBodies[0].rows].map((row) => {
    const cell = row.querySelector(`[data-rate=${rate}]`);
    const [part, of] = [Number(cell.dataset.part), Number(cell.dataset.of)];
    return { part, of, value: of ? part / of : null };
  });
}

function draw(figure) {
  const { rate, beside, part, whole } = figure.dataset;
  const at = [...table.tBodies[0].rows].map((row) => Number(row.dataset.at));
  const main = read(rate);
  const second = beside ? read(beside) : null;
  const hover = figure.querySelector(".hover");
  const chart = figure.querySelector(".chart");
  const [ink, soft, line] = [colour("accent"), colour("soft"), colour("line")];
  const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const say = (plot) => {
    const i = plot.cursor.idx;
    if (i == null || !main[i]) {
      hover.textContent = "\u00a0";
      return;
    }
    let text = `${long(moment(at[i]))}: ${percent(main[i].value)} · ${number.format(main[i].part)} ${part} of ${number.format(main[i].of)} ${whole}`;
    if (second) text += ` · response ${percent(second[i].value)}`;
    hover.textContent = text;
  };
  const series = [{}, { stroke: ink, width: 2, spanGaps: false, points: { size: 5, fill: ink } }];
  const data = [at, main.map((one) => one.value)];
  if (second) {
    series.push({ stroke: soft, width: 1.5, dash: [4, 4], points: { size: 4, fill: soft } });
    data.push(second.map((one) => one.value));
  }
  chart.replaceChildren();
  charts.push(
    new uPlot(
      {
        width: chart.clientWidth,
        height: HEIGHT,
        padding: [8, 20, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, sync: { key: "rates" }, points: { size: 7 } },
        scales: { y: { range: [0, 1] } },
        tzDate: (seconds) => uPlot.tzDate(moment(seconds), zone),
        axes: [
          { ...axis, size: 28, gap: 8, space: 64, grid: { show: false }, values: (_, ticks) => ticks.map((tick) => short(moment(tick))) },
          { ...axis, size: 44, gap: 4, splits: () => [0, 0.25, 0.5, 0.75, 1], values: (_, ticks) => ticks.map((tick) => `${tick * 100} %`) },
        ],
        series,
        hooks: { setCursor: [say] },
      },
      data,
      chart,
    ),
  );
}

function drawAll() {
  for (const chart of charts.splice(0)) chart.destroy();
  for (const figure of document.querySelectorAll("figure.rate")) draw(figure);
}

if (table) {
  drawAll();
  document.addEventListener("afterword:theme", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  new ResizeObserver(() => {
    for (const chart of charts) {
      const width = chart.root.parentElement.clientWidth;
      if (width && width !== chart.width) chart.setSize({ width, height: HEIGHT });
    }
  }).observe(document.querySelector(".rates"));
}
