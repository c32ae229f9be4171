/**
 * A disk in memory that outlives the processes that use it: files, directories, times, and what a disk can do to a
 * node: be slow, be full, and forget at a crash what was not synced. Nothing here takes time by itself and nothing is
 * owned; paths are absolute, with `/`, and there are no links.
 */

export interface DiskFile {
  readonly kind: "f"
  /** Its first `size` bytes count. */
  bytes: Uint8Array
  size: number
  /** Milliseconds since 1970. */
  mtime: number
  executable: boolean
  /** Written since the last sync: `[from, to]`. */
  unsynced: Array<readonly [number, number]>
}

interface DiskDirectory {
  readonly kind: "d"
  readonly entries: Map<string, DiskFile | DiskDirectory>
  mtime: number
}

export type DiskEntry = DiskFile | DiskDirectory

/** As the file system would say it: `code` is ENOENT and the like. */
export class DiskRefusal extends Error {
  readonly code: string

  constructor(code: string) {
    super(code)
    this.code = code
  }
}

/** The time of what a test writes without saying one. */
const someTime = 1_700_000_000_000

const componentsOf = (path: string): ReadonlyArray<string> => path.split("/").filter((part) => part !== "")

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : 1)

/** The entries of a directory by name: always in the same order, whatever the order in which they came. */
export const sorted = (directory: DiskDirectory) => [...directory.entries].toSorted(byName)

export class SimulatedDisk {
  readonly #root: DiskDirectory = { kind: "d", entries: new Map(), mtime: someTime }
  #used = 0
  /** Bytes it can hold. */
  capacity = Number.POSITIVE_INFINITY
  /** Milliseconds that each piece of work takes. */
  latency = 0
  /** Called before each piece of work with what it is: the place for a test to pull a plug. */
  onWork: ((action: string) => void) | undefined
  /** Counts its crashes: whoever used it before one cannot any more. */
  generation = 0

  /** Bytes of all files. */
  get used(): number {
    return this.#used
  }

  get free(): number {
    return Math.max(0, this.capacity - this.#used)
  }

  /** What is at this path, or undefined. */
  find(path: string): DiskEntry | undefined {
    let at: DiskEntry = this.#root
    for (const name of componentsOf(path)) {
      const next: DiskEntry | undefined = at.kind === "d" ? at.entries.get(name) : undefined
      if (next === undefined) return undefined
      at = next
    }
    return at
  }

  /** The directory at this path, made with all above it where it is not there. */
  directory(path: string): DiskDirectory {
    let at = this.#root
    for (const name of componentsOf(path)) {
      const next = at.entries.get(name) ?? { kind: "d", entries: new Map(), mtime: someTime }
      if (next.kind !== "d") throw new DiskRefusal("ENOTDIR")
      at.entries.set(name, next)
      at = next
    }
    return at
  }

  /** A new, empty file; refused where something is. */
  create(path: string, executable: boolean): DiskFile {
    const { directory, name } = this.#parent(path)
    if (directory.entries.has(name)) throw new DiskRefusal("EEXIST")
    const file: DiskFile = { kind: "f", bytes: new Uint8Array(0), size: 0, mtime: someTime, executable, unsynced: [] }
    directory.entries.set(name, file)
    return file
  }

  /** Writes bytes at an offset, as far as there is room. */
  writeAt(file: DiskFile, bytes: Uint8Array, offset: number): void {
    const end = offset + bytes.length
    const grown = Math.max(0, end - file.size)
    if (grown > this.free) throw new DiskRefusal("ENOSPC")
    if (end > file.bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * file.bytes.length))
      larger.set(file.bytes)
      file.bytes = larger
    }
    file.bytes.set(bytes, offset)
    file.size += grown
    this.#used += grown
    file.unsynced.push([offset, end])
  }

  /** Shortens a file to this length, durably. */
  cut(file: DiskFile, length: number): void {
    this.#used -= Math.max(0, file.size - length)
    file.size = Math.min(file.size, length)
    file.unsynced = []
  }

  /** Puts a whole file there, in place of what was, as safe as if it had been synced. */
  write(
    path: string,
    content: string | Uint8Array,
    options: { readonly mtime?: number; readonly executable?: boolean } = {}
  ): void {
    this.remove(path)
    const file = this.create(path, options.executable ?? false)
    this.writeAt(file, typeof content === "string" ? new TextEncoder().encode(content) : content, 0)
    file.mtime = options.mtime ?? someTime
    file.unsynced = []
  }

  /** The bytes of a file, or undefined where there is none. */
  read(path: string): Uint8Array | undefined {
    const file = this.find(path)
    return file?.kind === "f" ? file.bytes.slice(0, file.size) : undefined
  }

  /** Names in a directory, sorted; none where there is no directory. */
  list(path: string): ReadonlyArray<string> {
    const directory = this.find(path)
    return directory?.kind === "d" ? sorted(directory).map(([name]) => name) : []
  }

  /** Every file below a directory by its path from there, and every directory with null: two trees can be compared. */
  tree(path: string): ReadonlyMap<string, Uint8Array | null> {
    const found = new Map<string, Uint8Array | null>()
    const enter = (directory: DiskDirectory, prefix: string) => {
      for (const [name, entry] of sorted(directory)) {
        found.set(`${prefix}${name}`, entry.kind === "f" ? entry.bytes.slice(0, entry.size) : null)
        if (entry.kind === "d") enter(entry, `${prefix}${name}/`)
      }
    }
    const top = this.find(path)
    if (top?.kind === "d") enter(top, "")
    return found
  }

  /** Removes what is there with all that is in it; true if something was. */
  remove(path: string): boolean {
    const entry = this.find(path)
    if (entry === undefined) return false
    const { directory, name } = this.#parent(path)
    directory.entries.delete(name)
    this.#used -= bytesIn(entry)
    return true
  }

  /** Moves it to a name where nothing is. */
  move(from: string, to: string): void {
    const entry = this.find(from)
    if (entry === undefined) throw new DiskRefusal("ENOENT")
    if (this.find(to) !== undefined) throw new DiskRefusal("EEXIST")
    const [source, target] = [this.#parent(from), this.#parent(to)]
    source.directory.entries.delete(source.name)
    target.directory.entries.set(target.name, entry)
  }

  /** The machine stops at once: what was written and not synced reads as zeros, and who used it cannot any more. */
  crash(): void {
    this.generation++
    const lose = (entry: DiskEntry): void => {
      if (entry.kind === "d") return entry.entries.forEach(lose)
      for (const [from, to] of entry.unsynced) entry.bytes.fill(0, from, to)
      entry.unsynced = []
    }
    lose(this.#root)
  }

  #parent(path: string) {
    const components = componentsOf(path)
    const name = components.at(-1)
    if (name === undefined) throw new DiskRefusal("EINVAL")
    return { directory: this.directory(components.slice(0, -1).join("/")), name }
  }
}

const bytesIn = (entry: DiskEntry): number =>
  entry.kind === "f" ? entry.size : [...entry.entries.values()].reduce((sum, each) => sum + bytesIn(each), 0)
