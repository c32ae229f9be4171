/**
 * Files from one place to another: one large file, many small ones, and one file to several receivers, beside what
 * people use for that today. Runs alternate between the rivals, so that a machine that slows down slows all of them.
 */
import { ratios, type Result, type Row } from "./Figures.ts"
import { ask, connected, launch, type Node, send } from "./Nodes.ts"
import { file, gibi, mebi, tree } from "./Payload.ts"
import { pipe } from "./pipe.ts"
import { Home } from "./Processes.ts"
import { missing, rivals } from "./Rivals.ts"

export interface Options {
  readonly runs: number
  /** Of the size of the real thing: 1, or less for a quick look. */
  readonly scale: number
}

/** One way to do the same work; for each run its seconds and its CPU. */
interface Contender {
  readonly what: string
  readonly run: () => Promise<{ readonly seconds: number; readonly cpu: number; readonly peakMib?: number }>
}

interface Times {
  readonly seconds: ReadonlyArray<number>
  readonly cpu: ReadonlyArray<number>
  readonly peakMib: number | undefined
}

/** Each contender in turn, once to warm up and then as often as asked. */
const alternate = async (contenders: ReadonlyArray<Contender>, runs: number): Promise<ReadonlyMap<string, Times>> => {
  const times = new Map<string, { seconds: Array<number>; cpu: Array<number>; peakMib: number | undefined }>()
  for (let at = -1; at < runs; at++) {
    for (const { run, what } of contenders) {
      const { cpu, peakMib, seconds } = await run()
      if (at < 0) continue
      const of = times.get(what) ?? { seconds: [], cpu: [], peakMib: undefined }
      of.seconds.push(seconds)
      of.cpu.push(cpu)
      of.peakMib = peakMib
      times.set(what, of)
    }
  }
  return times
}

const empty: Times = { seconds: [], cpu: [], peakMib: undefined }
const none = (): ReadonlyArray<string> =>
  missing().map((tool) => `${tool} is not installed here: not compared with it.`)

/** Rows of speed: ours first, and each rival with how many times faster we are. */
const speeds = (
  times: ReadonlyMap<string, Times>,
  of: (seconds: number) => number,
  unit: string,
  gib: number,
  goals: ReadonlyMap<string, Row["goal"]>
): ReadonlyArray<Row> => {
  const ours = times.get("kith") ?? empty
  return [...times].map(([what, { cpu, peakMib, seconds }]) => {
    const goal = goals.get(what)
    return {
      what,
      figures: seconds.map(of),
      unit,
      cpuPerGib: cpu.map((spent) => spent / gib),
      ...(peakMib === undefined ? {} : { peakMib }),
      ...(what === "kith" ? {} : { against: { what: "kith / this", ratios: ratios(seconds, ours.seconds) } }),
      ...(goal === undefined ? {} : { goal })
    }
  })
}

export const large = async ({ runs, scale }: Options): Promise<Result> => {
  await using home = new Home("file")
  const bytes = Math.round(2 * scale * 1024) * mebi
  const path = file(home.at("large.bin"), bytes)
  const { alice, bob } = await connected(home)
  const contenders: Array<Contender> = [{ what: "kith", run: () => send(alice, [bob], path) }]
  if (missing().length === 0) {
    const { rsync, scp } = await rivals(home)
    contenders.push({ what: "scp", run: () => scp(path) }, { what: "rsync -e ssh", run: () => rsync(path) })
  }
  contenders.push({ what: "bare TLS pipe", run: () => pipe(bytes) })
  const goals = new Map([
    ["scp", { atLeast: 1, aim: 1.5 }],
    ["rsync -e ssh", { atLeast: 2.5, aim: 3.5 }],
    ["bare TLS pipe", { atLeast: 0.4, aim: 0.65 }]
  ])
  const times = await alternate(contenders, runs)
  const rows = speeds(times, (seconds) => bytes / mebi / seconds, "MiB/s", bytes / gibi, goals)
  const title = `One file of ${bytes / mebi} MiB of random bytes, memory to memory`
  const notes = ["Kith verifies, journals and syncs; scp and the pipe compute no digest, and the pipe knows no files."]
  return { name: "file", title, rows, notes: [...notes, ...none()] }
}

export const small = async ({ runs, scale }: Options): Promise<Result> => {
  await using home = new Home("tree")
  const shape = { files: Math.round(20_000 * scale), directories: 200, bytes: 4096 }
  const path = tree(home.at("tree"), shape)
  const { alice, bob } = await connected(home)
  const contenders: Array<Contender> = [{ what: "kith", run: () => send(alice, [bob], path) }]
  if (missing().length === 0) {
    const { rsync, tar } = await rivals(home)
    contenders.push({ what: "tar over ssh", run: () => tar(path) }, { what: "rsync -a", run: () => rsync(path) })
  }
  const goals = new Map([
    ["tar over ssh", { atLeast: 1.3, aim: 2 }],
    ["rsync -a", { atLeast: 1.7, aim: 2.5 }]
  ])
  const times = await alternate(contenders, runs)
  const gib = (shape.files * shape.bytes) / gibi
  const rows = speeds(times, (seconds) => shape.files / seconds, "files/s", gib, goals)
  return {
    name: "tree",
    title: `${shape.files} files of 4 KiB in ${shape.directories} directories`,
    rows,
    notes: none()
  }
}

const receivers = ["bob", "carol", "dave", "erin"] as const

export const group = async ({ runs, scale }: Options): Promise<Result> => {
  await using home = new Home("group")
  const bytes = Math.round(scale * 1024) * mebi
  const path = file(home.at("large.bin"), bytes)
  const alice = await launch(home, "alice")
  const others: Array<Node> = []
  for (const name of receivers) {
    const node = await launch(home, name)
    await ask(alice, "POST", "/api/peers", { address: node.address })
    others.push(node)
  }
  const times = await alternate(
    [
      { what: "together", run: () => send(alice, others, path) },
      {
        what: "one by one",
        run: async () => {
          let seconds = 0
          let cpu = 0
          for (const node of others) {
            const ran = await send(alice, [node], path)
            seconds += ran.seconds
            cpu += ran.cpu
          }
          return { seconds, cpu }
        }
      }
    ],
    runs
  )
  const together = times.get("together") ?? empty
  const apart = times.get("one by one") ?? empty
  const gib = (receivers.length * bytes) / gibi
  const row = (what: string, { cpu, peakMib, seconds }: Times): Row => ({
    what,
    figures: seconds,
    unit: "s",
    cpuPerGib: cpu.map((spent) => spent / gib),
    ...(peakMib === undefined ? {} : { peakMib })
  })
  const cpu: Row = {
    what: "CPU together",
    figures: together.cpu,
    unit: "s",
    against: { what: "this / one by one", ratios: ratios(together.cpu, apart.cpu) },
    goal: { atLeast: 0.9, aim: 0.7, isCeiling: true }
  }
  const rows = [row("together", together), row("one by one", apart), cpu]
  return { name: "group", title: `One file of ${bytes / mebi} MiB to 4 receivers`, rows, notes: [] }
}
