/**
 * Files and directories that a person dropped, chose or pasted, as a flat list with relative paths. Directories are
 * walked here, since the browser gives them entry by entry; an empty directory is an entry of its own.
 */

export interface PickedFile {
  /** With `/` between components; the first is what the person picked. */
  readonly path: string
  readonly file: File
}

export interface Picked {
  readonly files: ReadonlyArray<PickedFile>
  /** Directories, the empty ones too. */
  readonly directories: ReadonlyArray<string>
  readonly bytes: number
  /** What was picked, in a word: the name of its one top entry, or "3 items". */
  readonly name: string
}

/** Most entries of one picking: more is for the command line, which reads the disk itself. */
export const entriesMax = 100_000

class TooMany extends Error {
  override readonly message = `this is more than ${entriesMax} files; send it from the command line: kith send`
}

const picked = (files: ReadonlyArray<PickedFile>, directories: ReadonlyArray<string>): Picked => {
  const tops = new Set([...files.map(({ path }) => path), ...directories].map((path) => path.split("/", 1)[0] ?? path))
  const [only = ""] = tops
  return {
    files,
    directories,
    bytes: files.reduce((sum, { file }) => sum + file.size, 0),
    name: tops.size === 1 ? only : `${tops.size} items`
  }
}

/** From a file chooser; a chosen directory comes as its files, with their paths below it. */
export const fromFiles = (list: ReadonlyArray<File>): Picked => {
  if (list.length > entriesMax) throw new TooMany()
  const files = list.map((file) => ({
    path: file.webkitRelativePath === "" ? file.name : file.webkitRelativePath,
    file
  }))
  const directories = new Set<string>()
  for (const { path } of files) {
    const components = path.split("/")
    for (let depth = 1; depth < components.length; depth++) directories.add(components.slice(0, depth).join("/"))
  }
  return picked(files, [...directories])
}

const fileOf = (entry: FileSystemFileEntry): Promise<File> => new Promise((done, failed) => entry.file(done, failed))

const childrenOf = async (entry: FileSystemDirectoryEntry): Promise<ReadonlyArray<FileSystemEntry>> => {
  const reader = entry.createReader()
  const all: Array<FileSystemEntry> = []
  // It gives at most a hundred at a time, and an empty list at the end.
  while (true) {
    const some = await new Promise<ReadonlyArray<FileSystemEntry>>((done, failed) => reader.readEntries(done, failed))
    if (some.length === 0) return all
    all.push(...some)
  }
}

const isDirectory = (entry: FileSystemEntry): entry is FileSystemDirectoryEntry => entry.isDirectory
const isFile = (entry: FileSystemEntry): entry is FileSystemFileEntry => entry.isFile

/** From a drop. What the drop holds must be taken at once, before the first wait. */
export const fromDrop = async (transfer: DataTransfer): Promise<Picked> => {
  const loose = [...transfer.files]
  const entries = [...transfer.items].map((item) => (item.kind === "file" ? item.webkitGetAsEntry() : null))
  const waiting = entries.filter((entry) => entry !== null)
  if (waiting.length === 0) return fromFiles(loose)
  const files: Array<PickedFile> = []
  const directories: Array<string> = []
  for (let entry = waiting.pop(); entry !== undefined; entry = waiting.pop()) {
    const path = entry.fullPath.replace(/^\//, "")
    if (isDirectory(entry)) {
      directories.push(path)
      waiting.push(...(await childrenOf(entry)))
    } else if (isFile(entry)) files.push({ path, file: await fileOf(entry) })
    if (files.length + directories.length > entriesMax) throw new TooMany()
  }
  return picked(files, directories)
}

/** A pasted picture has no name of its own. */
export const fromClipboard = (list: ReadonlyArray<File>, now: Date): Picked =>
  fromFiles(
    list.map((file) => {
      if (file.name !== "" && file.name !== "image.png") return file
      const stamp = now.toISOString().slice(0, 19).replaceAll(":", ".").replace("T", " ")
      return new File([file], `Pasted ${stamp}.${file.type.split("/")[1] ?? "png"}`, { type: file.type })
    })
  )
