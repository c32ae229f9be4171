/** A result drawn as SVG: bars with their spread, or curves of growth. Readable on light and dark pages alike. Pure. */
import { type Curve, median, type Result, round, type Row } from "./Figures.ts"

const width = 720
const left = 190
const right = 110
const line = 30
const ink = "#6b7280"
const own = "#2563eb"
const other = "#9ca3af"

const text = (x: number, y: number, what: string, anchor = "start", size = 13): string =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}" font-size="${size}" fill="${ink}">${escaped(what)}</text>`

const escaped = (what: string): string =>
  what.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")

const page = (height: number, title: string, parts: ReadonlyArray<string>): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif">`,
    `<title>${escaped(title)}</title>`,
    text(12, 24, title, "start", 15),
    ...parts,
    "</svg>",
    ""
  ].join("\n")

export const chartOf = (result: Result): string =>
  result.curves === undefined ? bars(result) : curves(result.title, result.curves)

/** Rows of one unit share a scale; a whisker shows the least and the most. */
const bars = ({ rows, title }: Result): string => {
  const most = new Map<string, number>()
  for (const { figures, unit } of rows) most.set(unit, Math.max(most.get(unit) ?? 0, ...figures))
  const drawn = rows.map((row, at) => bar(row, 44 + at * line, most.get(row.unit) ?? 1))
  return page(60 + rows.length * line, title, drawn)
}

const bar = ({ against, figures, unit, what }: Row, y: number, most: number): string => {
  const x = (figure: number) => left + ((width - left - right) * figure) / (most === 0 ? 1 : most)
  const middle = x(median(figures))
  const [least, top] = [x(Math.min(...figures)), x(Math.max(...figures))]
  const colour = against === undefined ? own : other
  return [
    text(left - 10, y + 15, what, "end"),
    `<rect x="${left}" y="${y + 3}" width="${(middle - left).toFixed(1)}" height="16" rx="3" fill="${colour}"/>`,
    `<path d="M${least.toFixed(1)} ${y + 11}H${top.toFixed(1)}" stroke="${ink}" stroke-width="2"/>`,
    text(Math.max(middle, top) + 8, y + 15, `${round(median(figures))} ${unit}`)
  ].join("")
}

/** Both axes logarithmic: what is linear is a straight line of slope 1, what is flat a level one. */
const curves = (title: string, all: ReadonlyArray<Curve>): string => {
  const height = 220
  const drawn = all.map((curve, at) => plot(curve, 44 + at * height, height - 60))
  return page(44 + all.length * height, title, drawn)
}

const plot = ({ points, what, x: across, y: up }: Curve, top: number, height: number): string => {
  const scale = (values: ReadonlyArray<number>, from: number, to: number) => {
    const logs = values.map((value) => Math.log10(Math.max(value, 1e-3)))
    const [low, high] = [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))]
    const of = (value: number) => from + ((to - from) * (Math.log10(Math.max(value, 1e-3)) - low)) / (high - low || 1)
    return { of, low, high }
  }
  const x = scale(
    points.map(([at]) => at),
    left,
    width - right
  )
  const y = scale(
    points.map(([, at]) => at),
    top + height,
    top + 16
  )
  const path = points.map(([a, b], at) => `${at === 0 ? "M" : "L"}${x.of(a).toFixed(1)} ${y.of(b).toFixed(1)}`).join("")
  const ticks = Array.from({ length: y.high - y.low + 1 }, (_, at) => 10 ** (y.low + at))
  const marks = ticks.map((at) => text(left - 10, y.of(at) + 4, at.toLocaleString("en"), "end", 11))
  const feet = points.map(([at]) => text(x.of(at), top + height + 18, at.toLocaleString("en"), "middle", 11))
  return [
    text(12, top + 4, `${what}, in ${up}`),
    text(width - right + 10, top + height + 4, across, "start", 11),
    ...marks,
    ...feet,
    `<path d="M${left} ${top + 16}V${top + height}H${width - right}" fill="none" stroke="${other}"/>`,
    `<path d="${path}" fill="none" stroke="${own}" stroke-width="2"/>`,
    ...points.map(([a, b]) => `<circle cx="${x.of(a).toFixed(1)}" cy="${y.of(b).toFixed(1)}" r="3" fill="${own}"/>`)
  ].join("")
}
