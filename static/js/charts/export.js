// A chart as a file: a picture of what is shown, or the columns that it is drawn from.
import { axisFont } from "./axes.js";
import { colour, dashOf, strokeOf } from "./palette.js";

const head = 28; // pixels for the title and the legend
const legendGap = 14;

/**
 * @param {"png"|"svg"|"csv"} format
 * @param {import("./chart.js").Chart} chart
 */
export function save(format, chart) {
  const name = `${chart.title.replace(/[^\w.-]+/g, "-").replace(/^-+|-+$/g, "") || "chart"}.${format}`;
  if (format === "csv") download(name, new Blob([csv(chart.curves, chart.range())], { type: "text/csv" }));
  else if (format === "svg") download(name, new Blob([svg(chart)], { type: "image/svg+xml" }));
  else png(chart).toBlob((blob) => blob && download(name, blob), "image/png");
}

/**
 * @param {string} name
 * @param {Blob} blob
 */
function download(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/**
 * The columns in sight. Pure.
 * @param {import("./curve.js").Curve[]} curves
 * @param {[number, number]|null} range of x
 */
export function csv(curves, range) {
  const rows = ["curve,metric,worker,step,steps,x,value,min,max,not_finite"];
  for (const c of curves) {
    if (c.hidden) continue;
    const { series: s } = c;
    for (let i = 0; i < c.x.length; i++) {
      if (range && !(c.x[i] >= range[0] && c.x[i] <= range[1])) continue;
      const value = s.value[i];
      const cells = [quoted(c.name), quoted(s.metric), s.worker < 0 ? "all" : s.worker, s.step[i], s.clock ? "" : s.width, c.x[i], value, s.min ? s.min[i] : value, s.max ? s.max[i] : value, quoted(c.odd.get(i) || "")];
      rows.push(cells.map((v) => v ?? "").join(","));
    }
  }
  return rows.join("\n") + "\n";
}

/**
 * A cell of a table. What a spreadsheet would take for a formula is text.
 * @param {string} text
 */
function quoted(text) {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** @param {import("./chart.js").Chart} chart */
function png(chart) {
  const from = /** @type {HTMLCanvasElement} */ (chart.area.querySelector("canvas"));
  const ratio = devicePixelRatio;
  const out = document.createElement("canvas");
  out.width = from.width;
  out.height = from.height + head * ratio;
  const ctx = /** @type {CanvasRenderingContext2D} */ (out.getContext("2d"));
  ctx.fillStyle = colour("--surface");
  ctx.fillRect(0, 0, out.width, out.height);
  ctx.drawImage(from, 0, head * ratio);
  ctx.scale(ratio, ratio);
  ctx.font = `600 13px ${getComputedStyle(document.body).fontFamily}`;
  ctx.fillStyle = colour("--text");
  ctx.fillText(chart.title, 12, 19);
  let at = 24 + ctx.measureText(chart.title).width;
  ctx.font = axisFont();
  for (const c of entries(chart)) {
    ctx.strokeStyle = strokeOf(c.slot);
    ctx.lineWidth = 2;
    ctx.setLineDash(dashOf(c.slot));
    ctx.beginPath();
    ctx.moveTo(at, 15);
    ctx.lineTo(at + 20, 15);
    ctx.stroke();
    ctx.fillText(c.name, at + 25, 19);
    at += 25 + ctx.measureText(c.name).width + legendGap;
  }
  return out;
}

/** @param {import("./chart.js").Chart} chart */
function entries(chart) {
  const shown = chart.curves.filter((c) => !c.hidden);
  return shown.length > 1 ? shown : [];
}

/** @param {import("./chart.js").Chart} chart */
function svg(chart) {
  const plot = /** @type {import("./plot.js").Plot} */ (chart.plot);
  const over = /** @type {HTMLElement} */ (chart.area.querySelector(".u-over"));
  const [width, height] = [chart.area.clientWidth, chart.area.clientHeight + head];
  const [left, top, w, h] = [over.offsetLeft, over.offsetTop + head, plot.width(), plot.height()];
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="${colour("--surface")}"></rect>`,
    `<text x="12" y="19" font-size="13" font-weight="600" fill="${colour("--text")}">${escaped(chart.title)}</text>`,
  ];
  let at = 24 + chart.title.length * 7.5;
  for (const c of entries(chart)) {
    out.push(`<path d="M${at} 15h20" stroke="${strokeOf(c.slot)}" stroke-width="2"${dashed(c.slot)}></path><text x="${at + 25}" y="19" fill="${colour("--text")}">${escaped(c.name)}</text>`);
    at += 25 + c.name.length * 6.2 + legendGap;
  }
  const { x, y } = plot.ticks;
  x.splits.forEach((v, i) => {
    const px = round(left + plot.left(v));
    out.push(`<path d="M${px} ${top}v${h}" stroke="${colour("--chart-grid")}"></path><text x="${px}" y="${top + h + 16}" text-anchor="middle" fill="${colour("--chart-axis")}">${escaped(x.labels[i] || "")}</text>`);
  });
  y.splits.forEach((v, i) => {
    if (v === null) return;
    const py = round(top + plot.u.valToPos(v, "y"));
    out.push(`<path d="M${left} ${py}h${w}" stroke="${colour("--chart-grid")}"></path><text x="${left - 6}" y="${py + 4}" text-anchor="end" fill="${colour("--chart-axis")}">${escaped(y.labels[i] || "")}</text>`);
  });
  out.push(`<text x="${left + w / 2}" y="${top + h + 30}" text-anchor="middle" fill="${colour("--chart-axis")}">${escaped(plot.scene.label)}</text>`);
  out.push(`<svg x="${left}" y="${top}" width="${w}" height="${h}">`, ...plot.shapes().map(element), "</svg></svg>");
  return out.join("\n");
}

/** @param {import("./shapes.js").Shape} s */
function element({ kind, at, slot, alpha, width }) {
  const look = `opacity="${alpha}"`;
  const points = [];
  for (let i = 0; i < at.length; i += 2) points.push(`${round(at[i])},${round(at[i + 1])}`);
  switch (kind) {
    case "area":
      return `<polygon points="${points.join(" ")}" fill="${strokeOf(slot)}" ${look}></polygon>`;
    case "line":
      return `<polyline points="${points.join(" ")}" fill="none" stroke="${strokeOf(slot)}" stroke-width="${width}"${dashed(slot)} ${look}></polyline>`;
    case "bars":
      return `<path d="${points.map((p, i) => (i % 2 ? "L" : "M") + p).join("")}" stroke="${strokeOf(slot)}" stroke-width="${width}" ${look}></path>`;
    case "dots":
      return `<g fill="${strokeOf(slot)}" ${look}>${points.map((p) => `<circle cx="${p.split(",")[0]}" cy="${p.split(",")[1]}" r="${width}"></circle>`).join("")}</g>`;
  }
  return `<path d="${points.map((p) => `M${p}m-4-4l8 8m0-8l-8 8`).join("")}" stroke="${colour("--danger")}" stroke-width="1.75" ${look}></path>`;
}

/** @param {number} slot */
function dashed(slot) {
  const dash = dashOf(slot);
  return dash.length > 0 ? ` stroke-dasharray="${dash.join(" ")}"` : "";
}

/** @param {number} v */
function round(v) {
  return Math.round(v * 100) / 100;
}

/** @param {string} text */
function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
