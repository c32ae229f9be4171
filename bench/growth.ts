/**
 * How time and memory grow with what is sent and with how many are there, each point with fresh nodes: one file that is
 * holes all through, trees of files of 4 bytes, and peers with sessions. Time is to be linear, memory flat.
 */
import { crowdOf } from "./crowd.ts"
import { type Curve, type Result, type Row } from "./Figures.ts"
import { connected, send } from "./Nodes.ts"
import { mebi, sparse, tree } from "./Payload.ts"
import { Home, peakOf, roomiest } from "./Processes.ts"
import type { Options } from "./transfers.ts"

/** Sizes in MiB, entries and peers: the last is the real size. */
const sizes = [1, 16, 256, 1024, 4096, 16_384, 65_536]
const counts = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000]
const crowds = [1, 10, 100, 1000]

/** Files in one directory. */
const perDirectory = 1000

interface Point {
  readonly at: number
  readonly seconds: number
  readonly mib: number
}

const sizeOf = async (mib: number): Promise<Point> => {
  await using home = new Home("growth", 1.2 * mib * mebi)
  const source = sparse(home.at("large.img"), mib * mebi)
  const { alice, bob } = await connected(home)
  const { peakMib, seconds } = await send(alice, [bob], source)
  return { at: mib, seconds, mib: peakMib }
}

/** Entries, the directories among them, and the one they are in. */
const treeOf = async (entries: number): Promise<Point> => {
  await using home = new Home("growth")
  const directories = Math.ceil(entries / (perDirectory + 1))
  const source = tree(home.at("tree"), { files: Math.max(1, entries - directories - 1), directories, bytes: 4 })
  const { alice, bob } = await connected(home)
  const { peakMib, seconds } = await send(alice, [bob], source)
  return { at: entries, seconds, mib: peakMib }
}

const peersOf = async (count: number): Promise<Point> => {
  await using home = new Home("growth")
  const { node, seconds } = await crowdOf(home, count)
  return { at: count, seconds, mib: peakOf(node.pid) }
}

export const growth = async ({ scale }: Options): Promise<Result> => {
  const most = roomiest() / mebi
  const taken = sizes.filter((mib) => mib <= scale * 65_536)
  const bySize = await each(
    taken.filter((mib) => mib <= most),
    sizeOf
  )
  const byCount = await each(
    counts.filter((count) => count <= Math.max(1, scale * 1_000_000)),
    treeOf
  )
  const byPeers = await each(
    crowds.filter((count) => count <= scale * 1000),
    peersOf
  )
  const small = taken.filter((mib) => mib > most).map((mib) => `No place here has ${mib / 1024} GiB free: left out.`)
  return {
    name: "growth",
    title: "Growth of time and of the most memory of one node",
    rows: [
      ...compared("MiB in one file", bySize, 1024, 160),
      ...compared("files and directories", byCount, 10_000, 512),
      ...compared("peers", byPeers, 100, 320)
    ],
    curves: [
      ...drawn("MiB in one file", bySize),
      ...drawn("files and directories", byCount),
      ...drawn("peers with sessions", byPeers)
    ],
    notes: ["A file of holes, trees of 4-byte files. Times have the start of the command in them.", ...small]
  }
}

const each = async (steps: ReadonlyArray<number>, of: (step: number) => Promise<Point>) => {
  const points: Array<Point> = []
  for (const step of steps) points.push(await of(step))
  return points
}

/** Of the largest: what each of its units takes, against those of a middle one; and the most memory, in MiB. */
const compared = (what: string, points: ReadonlyArray<Point>, middle: number, allowed: number): ReadonlyArray<Row> => {
  const from = points.find(({ at }) => at === middle)
  const last = points.at(-1)
  if (last === undefined) return []
  const name = `${last.at.toLocaleString("en")} ${what}`
  const memory: Row = {
    what: `${name}: memory`,
    figures: [last.mib],
    unit: "MiB",
    goal: { atLeast: allowed, aim: 0.75 * allowed, isCeiling: true }
  }
  const time: Row = { what: `${name}: time`, figures: [last.seconds], unit: "s" }
  if (from === undefined || from === last) return [time, memory]
  const ratio = last.seconds / last.at / (from.seconds / from.at)
  return [
    {
      ...time,
      against: { what: `each, against those of ${from.at.toLocaleString("en")}`, ratios: [ratio] },
      goal: { atLeast: 1.2, aim: 1, isCeiling: true }
    },
    memory
  ]
}

const drawn = (x: string, points: ReadonlyArray<Point>): ReadonlyArray<Curve> => [
  { what: `Time against ${x}`, x, y: "s", points: points.map(({ at, seconds }) => [at, seconds]) },
  { what: `Most memory against ${x}`, x, y: "MiB", points: points.map(({ at, mib }) => [at, mib]) }
]
