/** Draws charts with ECharts from the JSON beside them; the library is loaded by the first chart only.
 *
 * The JSON: { kind: "bars" | "lines", labels: [], series: [{ name, values, shown }], unit, top,
 * limits: [{ name, value, tone: "warn" | "bad" }], links: [] }. `shown` are the values in words, `top` is how
 * far the axis reaches at least; with `dots` each value is seen, also one between gaps. Tooltips are drawn on the
 * canvas ("richText"): as HTML they would carry style attributes, which the content security policy forbids.
 */

let library = null;

export function startCharts(root) {
  for (const figure of root.querySelectorAll("[data-chart]:not([data-drawn])")) {
    figure.dataset.drawn = "yes";
    loadLibrary().then(() => draw(figure));
  }
}

function loadLibrary() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("../vendor/echarts.min.js", import.meta.url).href;
    script.addEventListener("load", resolve);
    script.addEventListener("error", reject);
    document.head.append(script);
  });
  return library;
}

function draw(figure) {
  const data = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  const space = figure.querySelector(".chart-space");
  const chart = window.echarts.init(space, null, { renderer: "canvas" });
  const paint = () => chart.setOption(options(data), true);
  paint();
  new ResizeObserver(() => chart.resize()).observe(space);
  document.addEventListener("preference", paint);
  if (data.links) {
    chart.on("click", ({ dataIndex }) => {
      if (data.links[dataIndex]) location.assign(data.links[dataIndex]);
    });
  }
}

function options(data) {
  const style = getComputedStyle(document.documentElement);
  const token = (name) => style.getPropertyValue(name).trim();
  const dark = document.documentElement.dataset.bsTheme === "dark";
  const text = { color: token("--text-muted"), fontFamily: token("--font"), fontSize: 12 };
  return {
    animationDuration: 250,
    aria: { enabled: true },
    color: dark
      ? ["#4c93e6", "#8fc1f7", "#4fb8a4", "#e7a33c", "#a593e0", "#d1808f", "#9aa7b5", "#8dbb5d"]
      : ["#0a5ec2", "#5c9fe6", "#2f9c8c", "#f09f1f", "#7a67c7", "#b8566a", "#6b7888", "#5d8f2f"],
    grid: { left: 8, right: 12, top: data.series.length > 1 ? 40 : 28, bottom: 4, containLabel: true },
    // One row, to be turned over where it is longer than the chart is wide: a second one would lie on the lines.
    legend: {
      type: "scroll",
      show: data.series.length > 1,
      left: 32,
      right: 0,
      top: 0,
      itemHeight: 11,
      itemWidth: 18,
      textStyle: text,
      pageTextStyle: text,
      pageIconSize: 11,
      pageIconColor: token("--text"),
      pageIconInactiveColor: token("--line-strong"),
    },
    tooltip: {
      trigger: "axis",
      renderMode: "richText",
      axisPointer: { type: data.kind === "bars" ? "shadow" : "line" },
      backgroundColor: token("--surface"),
      borderColor: token("--line-strong"),
      textStyle: { ...text, color: token("--text") },
      valueFormatter: (value) => (value == null ? "—" : `${value.toLocaleString("en")} ${data.unit ?? ""}`),
    },
    xAxis: {
      type: "category",
      data: data.labels,
      axisLabel: { ...text, hideOverlap: true },
      axisLine: { lineStyle: { color: token("--line-strong") } },
      axisTick: { show: false },
    },
    yAxis: {
      type: "value",
      name: data.unit,
      max: data.top ? ({ max }) => Math.max(data.top, Math.ceil(max / 50) * 50) : undefined,
      nameTextStyle: { ...text, align: "right" },
      axisLabel: { ...text, formatter: (value) => shorten(value, document.documentElement.lang) },
      splitLine: { lineStyle: { color: token("--line") } },
    },
    series: data.series.map((series, index) => ({
      name: series.name,
      data: series.values,
      type: data.kind === "bars" ? "bar" : "line",
      stack: data.kind === "bars" ? "all" : undefined,
      barMaxWidth: 22,
      symbol: data.dots ? "circle" : "none",
      symbolSize: 5,
      step: data.step ? "end" : false,
      lineStyle: { width: 2 },
      cursor: data.links ? "pointer" : "default",
      emphasis: { focus: "series" },
      tooltip: series.shown ? { valueFormatter: (_value, place) => series.shown[place] } : undefined,
      markLine: index === 0 && data.limits ? limitLines(data.limits, token, text) : undefined,
    })),
  };
}

function limitLines(limits, token, text) {
  return {
    silent: true,
    symbol: "none",
    data: limits.map(({ name, value, tone }) => {
      const color = token(`--${tone}`);
      return {
        yAxis: value,
        lineStyle: { color, type: "dashed", width: 1.5 },
        label: { ...text, color, formatter: name, position: tone === "warn" ? "insideStartTop" : "insideEndTop" },
      };
    }),
  };
}

/** Axis figures short: 25 千 and 3 万 in Chinese, 25k in English. */
function shorten(value, language) {
  if (language.startsWith("zh")) {
    if (Math.abs(value) >= 10_000) return `${value / 10_000} 万`;
    if (Math.abs(value) >= 1_000) return `${value / 1_000} 千`;
    return String(value);
  }
  return Intl.NumberFormat("en", { notation: "compact" }).format(value);
}
