/**
 * The trees that are sent, and what they have been: all nodes have the same ones, until someone changes his. It owns no
 * disk; it remembers every version that a file ever had, so that a mixture of two can be told from either.
 */
import type { DiskEntry } from "../../src/testing/SimulatedDisk.ts"
import type { SimulatedPeer } from "../../src/testing/SimulatedPeer.ts"
import { SimulatedRandom } from "../../src/testing/SimulatedRandom.ts"
import { type SourceAct, trees } from "./Scenario.ts"

const treeName = (tree: number): string => (tree === 0 ? "t0.bin" : `t${tree}`)

export const treePath = (tree: number): string => `/src/${treeName(tree)}`

/** Which tree this is a name of, if any. */
export const treeOf = (name: string): number | undefined => {
  const match = /^t(\d)(?: \(\d+\))?(?:\.bin)?$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

/** Every file and directory of it by its path from there, a file that is the tree itself by "". */
export const leaves = (entry: DiskEntry): ReadonlyMap<string, DiskEntry> => {
  const found = new Map<string, DiskEntry>()
  const enter = (at: DiskEntry, path: string) => {
    if (path !== "" || at.kind === "f") found.set(path, at)
    if (at.kind === "d") for (const [name, child] of at.entries) enter(child, path === "" ? name : `${path}/${name}`)
  }
  enter(entry, "")
  return found
}

const isEqual = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && Buffer.compare(one, other) === 0

/** The time of what nobody changed yet; each change has a later one. */
const firstTime = 1_700_000_000_000

interface Original {
  readonly tree: number
  /** From the top of the tree; "" is the top itself. */
  readonly path: string
  /** Null: a directory. */
  readonly bytes: Uint8Array | null
  readonly executable: boolean
}

/** A file, a tree of small files, one with a large file, deep and empty directories. */
function* originals(random: SimulatedRandom): Generator<Original> {
  for (let tree = 0; tree < trees; tree++) {
    const own = random.fork(`tree ${tree}`)
    if (tree === 0) {
      yield { tree, path: "", bytes: own.bytes(own.between(0, 100_000)), executable: false }
      continue
    }
    for (const path of ["empty", "empty/deep"]) yield { tree, path, bytes: null, executable: false }
    const files = own.between(1, 6)
    for (let file = 0; file < files; file++) {
      const size = tree === 1 && file === 0 ? own.between(1_000_000, 2_500_000) : own.between(0, 60_000)
      if (file === 1) yield { tree, path: "sub", bytes: null, executable: false }
      const path = file % 2 === 0 ? `f${file}` : `sub/f${file}`
      yield { tree, path, bytes: own.bytes(size), executable: file === 2 }
    }
  }
}

export class Sources {
  readonly #random: SimulatedRandom
  readonly #originals: ReadonlyArray<Original>
  /** Of each path of each tree. */
  readonly #versions = new Map<string, Array<Uint8Array | null>>()
  /** What each tree was to begin with: its paths, files and directories. */
  readonly #paths = new Map<number, Set<string>>()
  /** "node tree" of those that somebody changed. */
  readonly #changed = new Set<string>()
  #changes = 0

  constructor(seed: number) {
    this.#random = SimulatedRandom.make(seed).fork("trees")
    this.#originals = [...originals(this.#random)]
    for (const { bytes, path, tree } of this.#originals) {
      this.#note(tree, path, bytes)
      this.#paths.set(tree, (this.#paths.get(tree) ?? new Set()).add(path))
    }
  }

  /** Puts all trees on its disk. */
  put({ disk }: SimulatedPeer): void {
    for (const { bytes, executable, path, tree } of this.#originals) {
      const at = path === "" ? treePath(tree) : `${treePath(tree)}/${path}`
      if (bytes === null) disk.directory(at)
      else disk.write(at, bytes, { executable, mtime: firstTime })
    }
  }

  paths(tree: number): ReadonlySet<string> {
    return this.#paths.get(tree) ?? new Set()
  }

  isChanged(node: number, tree: number): boolean {
    return this.#changed.has(`${node} ${tree}`)
  }

  /** Whether this is what that path of the tree once was, whole. */
  isVersion(tree: number, path: string, entry: DiskEntry): boolean {
    const bytes = entry.kind === "d" ? null : entry.bytes.subarray(0, entry.size)
    const versions = this.#versions.get(`${tree} ${path}`) ?? []
    return versions.some((each) => each === bytes || (each !== null && bytes !== null && isEqual(each, bytes)))
  }

  /** Does to a node's tree what the act says. */
  change(node: number, { disk }: SimulatedPeer, { how, tree, which }: Omit<SourceAct, "_tag" | "node">): void {
    const top = disk.find(treePath(tree))
    const files = top === undefined ? [] : [...leaves(top)].filter(([, leaf]) => leaf.kind === "f")
    const sorted = files.map(([path]) => path).toSorted()
    const random = this.#random.fork(`change ${++this.#changes}`)
    const path = how === "create" ? (tree === 0 ? "" : `new${this.#changes}`) : sorted[which % sorted.length]
    if (path === undefined) return
    const at = path === "" ? treePath(tree) : `${treePath(tree)}/${path}`
    const before = disk.read(at) ?? new Uint8Array(0)
    this.#changed.add(`${node} ${tree}`)
    if (how === "remove") return void disk.remove(at)
    const more = random.bytes(how === "rewrite" ? before.length : random.between(1, 40_000))
    if (more.length > disk.free) return
    const after =
      how === "shrink" ? before.slice(0, before.length >> 1) : how === "grow" ? Buffer.concat([before, more]) : more
    disk.write(at, after, { mtime: firstTime + this.#changes * 1000 })
    this.#note(tree, path, after)
  }

  #note(tree: number, path: string, bytes: Uint8Array | null): void {
    const key = `${tree} ${path}`
    this.#versions.set(key, [...(this.#versions.get(key) ?? []), bytes])
  }
}
