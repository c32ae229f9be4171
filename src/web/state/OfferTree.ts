/**
 * What is in an offer, as a tree of which a person ticks a part; and that part as ranges of the list. Pure. A list may be longer than what is shown of it: then only what is ticked is taken, and nothing that is not shown.
 */
import { type ListedEntry, rangesMax } from "../../schema/ListedEntry.ts"
import type { Range } from "../../schema/Ranges.ts"

/** Most entries that are shown, and no choice among them has too many ranges: who wants more says it in patterns. */
export const entriesReadMax = 2 * rangesMax

export interface Node {
  /** In the list; null for a directory that is only on the way. */
  readonly index: number | null
  /** With `/` between names; "" for the top. */
  readonly path: string
  readonly name: string
  readonly depth: number
  readonly kind: "f" | "d"
  /** Of a file; of a directory what is in it. */
  readonly size: number
  /** Why it does not come, whatever is ticked; or null. */
  readonly leftOut: string | null
  readonly children: ReadonlyArray<Node>
}

/** Ticked wholly, in part, or not. What is left out counts for nothing. */
export type Tick = "all" | "some" | "none"

/** Files and directories by path that are not ticked; a directory stands for what is in it only by having all of it here. */
export type Unticked = ReadonlySet<string>

interface Draft {
  index: number | null
  path: string
  name: string
  depth: number
  kind: "f" | "d"
  size: number
  leftOut: string | null
  children: Array<Draft>
}

const draft = (path: string, depth: number, kind: "f" | "d"): Draft => ({
  index: null,
  path,
  name: path.slice(path.lastIndexOf("/") + 1),
  depth,
  kind,
  size: 0,
  leftOut: null,
  children: []
})

/** The tree of a list. A directory on the way to an entry is in it even where the list does not name it. */
export const build = (entries: ReadonlyArray<ListedEntry>): Node => {
  const top = draft("", -1, "d")
  const directories = new Map<string, Draft>([["", top]])
  const directory = (path: string): Draft => {
    const known = directories.get(path)
    if (known !== undefined) return known
    const parent = directory(path.slice(0, Math.max(0, path.lastIndexOf("/"))))
    const made = draft(path, parent.depth + 1, "d")
    parent.children.push(made)
    directories.set(path, made)
    return made
  }
  for (const entry of entries) {
    const leftOut = entry.state === "leftOut" ? (entry.reason ?? "it cannot be stored here") : null
    if (entry.kind === "d") {
      Object.assign(directory(entry.path), { index: entry.index, leftOut })
      continue
    }
    const parent = directory(entry.path.slice(0, Math.max(0, entry.path.lastIndexOf("/"))))
    const { index, size } = entry
    parent.children.push({ ...draft(entry.path, parent.depth + 1, "f"), index, size, leftOut })
  }
  measure(top)
  return top
}

const order = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" })

const measure = (node: Draft): number => {
  if (node.kind === "f") return node.size
  // Directories first, and names as people order them.
  node.children.sort((a, b) => (a.kind === b.kind ? order.compare(a.name, b.name) : a.kind === "d" ? -1 : 1))
  node.size = node.children.reduce((sum, child) => sum + measure(child), 0)
  return node.size
}

/** Whether something is ticked as a whole by itself: a file, or a directory with nothing in it. */
const isLeaf = (node: Node): boolean => node.children.length === 0

export const leaves = (node: Node): ReadonlyArray<Node> =>
  isLeaf(node) ? (node.depth < 0 || node.leftOut !== null ? [] : [node]) : node.children.flatMap(leaves)

/** The ticks of all nodes by path. What holds nothing that could come is "none". */
export const ticks = (top: Node, unticked: Unticked): ReadonlyMap<string, Tick> => {
  const found = new Map<string, Tick>()
  const look = (node: Node): Tick | undefined => {
    if (isLeaf(node)) {
      const tick = node.leftOut !== null ? undefined : unticked.has(node.path) ? "none" : "all"
      found.set(node.path, tick ?? "none")
      return tick
    }
    const inside = node.children.map(look).filter((tick) => tick !== undefined)
    if (inside.length === 0) {
      found.set(node.path, "none")
      return undefined
    }
    const tick = inside.every((one) => one === "all") ? "all" : inside.every((one) => one === "none") ? "none" : "some"
    found.set(node.path, tick)
    return tick
  }
  look(top)
  return found
}

/** All that is below a node ticked, or not. */
export const withTick = (unticked: Unticked, node: Node, wanted: boolean): Unticked => {
  const next = new Set(unticked)
  for (const { path } of leaves(node)) {
    if (wanted) next.delete(path)
    else next.add(path)
  }
  return next
}

/** Only these ticked. */
export const onlyTicked = (top: Node, wanted: (node: Node) => boolean): Unticked =>
  new Set(leaves(top).flatMap((node) => (wanted(node) ? [] : [node.path])))

/** How much is ticked. */
export const sum = (top: Node, unticked: Unticked): { readonly files: number; readonly bytes: number } => {
  const taken = leaves(top).filter(({ kind, path }) => kind === "f" && !unticked.has(path))
  return { files: taken.length, bytes: taken.reduce((bytes, { size }) => bytes + size, 0) }
}

/** The ticked part as ranges of the list. What is left out may lie within one: it does not come anyway. */
export const ranges = (top: Node, unticked: Unticked): ReadonlyArray<Range> => {
  const known = ticks(top, unticked)
  /** By index; what is left out is not in it. */
  const wanted: Array<boolean> = []
  const look = (node: Node, isWhole: boolean): void => {
    const tick = known.get(node.path)
    const whole = isWhole || tick === "all"
    if (node.index !== null && node.leftOut === null) wanted[node.index] = whole || tick === "some"
    for (const child of node.children) look(child, whole && tick !== "none")
  }
  look(top, false)
  const found: Array<[first: number, count: number]> = []
  let open: (typeof found)[number] | undefined
  wanted.forEach((isWanted, index) => {
    if (!isWanted) open = undefined
    else if (open === undefined) found.push((open = [index, 1]))
    else open[1] = index - open[0] + 1
  })
  return found
}

/** What is seen of the tree: below each directory that is open, in order. */
export const visible = (top: Node, open: ReadonlySet<string>): ReadonlyArray<Node> =>
  top.children.flatMap((node) => [node, ...(open.has(node.path) ? visible(node, open) : [])])

/** Everything whose path holds these words, without the directories around it. */
export const matching = (top: Node, words: string): ReadonlyArray<Node> => {
  const wanted = words.trim().toLocaleLowerCase()
  return leaves(top).filter(({ path }) => path.toLocaleLowerCase().includes(wanted))
}
