/** Figures as benches make them: medians and spread of paired runs, against goals, printed as one table. Pure. */

/** One line of a table: what was measured, of whom, and against what. */
export interface Row {
  readonly what: string
  /** One figure for each run, in the order of the runs. */
  readonly figures: ReadonlyArray<number>
  readonly unit: string
  /** Against the row with this name, run by run: above 1 is in Kith's favour. */
  readonly against?: { readonly what: string; readonly ratios: ReadonlyArray<number> }
  /** What is to be reached, in this row's unit or, where it is against another, as a ratio. */
  readonly goal?: Goal
  /** CPU seconds for each GiB, of all processes at both ends. */
  readonly cpuPerGib?: ReadonlyArray<number>
  /** Most memory of any one process, in MiB. */
  readonly peakMib?: number
}

export interface Goal {
  readonly atLeast: number
  readonly aim: number
  /** Whether smaller is better. */
  readonly isCeiling?: boolean
}

/** What one bench found. */
export interface Result {
  readonly name: string
  readonly title: string
  readonly rows: ReadonlyArray<Row>
  /** What was missing, and what else a reader has to know. */
  readonly notes: ReadonlyArray<string>
  /** Figures along a growing size, where the bench is about growth. */
  readonly curves?: ReadonlyArray<Curve>
}

export interface Curve {
  readonly what: string
  readonly x: string
  readonly y: string
  readonly points: ReadonlyArray<readonly [x: number, y: number]>
}

export const median = (figures: ReadonlyArray<number>): number => quantile(figures, 0.5)

/** Between the neighbours, linearly. */
export const quantile = (figures: ReadonlyArray<number>, share: number): number => {
  const sorted = figures.toSorted((a, b) => a - b)
  const at = share * (sorted.length - 1)
  const low = sorted[Math.floor(at)] ?? Number.NaN
  const high = sorted[Math.ceil(at)] ?? Number.NaN
  return low + (high - low) * (at - Math.floor(at))
}

/** Run by run: how many times more of `ours` there is than of `theirs`. */
export const ratios = (ours: ReadonlyArray<number>, theirs: ReadonlyArray<number>): ReadonlyArray<number> =>
  ours.map((figure, run) => figure / (theirs[run] ?? Number.NaN))

export const round = (figure: number): string =>
  !Number.isFinite(figure)
    ? "-"
    : Math.abs(figure) >= 100
      ? Math.round(figure).toLocaleString("en")
      : figure.toFixed(Math.abs(figure) >= 10 ? 1 : 2)

/** Median, and the least and the most in brackets. */
const spread = (figures: ReadonlyArray<number>): string =>
  figures.length === 1
    ? round(median(figures))
    : `${round(median(figures))} (${round(Math.min(...figures))}..${round(Math.max(...figures))})`

/** Whether a row is where it should be: its ratio where it has one, else its figure. */
export const verdict = (row: Row): "aim" | "goal" | "missed" | undefined => {
  const { goal } = row
  if (goal === undefined) return undefined
  const figure = median(row.against?.ratios ?? row.figures)
  const reaches = (mark: number) => (goal.isCeiling === true ? figure <= mark : figure >= mark)
  return reaches(goal.aim) ? "aim" : reaches(goal.atLeast) ? "goal" : "missed"
}

const head = ["what", "median (least..most)", "unit", "ratio", "against", "CPU s/GiB", "peak MiB", "goal/aim", ""]

export const cellsOf = (row: Row): ReadonlyArray<string> => [
  row.what,
  spread(row.figures),
  row.unit,
  row.against === undefined ? "" : spread(row.against.ratios),
  row.against?.what ?? "",
  row.cpuPerGib === undefined ? "" : round(median(row.cpuPerGib)),
  row.peakMib === undefined ? "" : round(row.peakMib),
  row.goal === undefined ? "" : `${row.goal.isCeiling === true ? "≤" : "≥"} ${row.goal.atLeast} / ${row.goal.aim}`,
  verdict(row) ?? ""
]

/** As Markdown, which a terminal shows well too. */
export const tableOf = ({ notes, rows, title }: Result): string => {
  const cells = [head, ...rows.map(cellsOf)]
  const widths = head.map((_, column) => Math.max(...cells.map((line) => (line[column] ?? "").length)))
  const line = (parts: ReadonlyArray<string>) =>
    `| ${parts.map((part, column) => part.padEnd(widths[column] ?? 0)).join(" | ")} |`
  const rule = `| ${widths.map((width) => "-".repeat(Math.max(3, width))).join(" | ")} |`
  return [title, "", line(head), rule, ...cells.slice(1).map(line), ...notes.map((note) => `\n${note}`), ""].join("\n")
}
