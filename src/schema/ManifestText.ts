/**
 * A manifest as text: one line an entry, `kind size mtime executable path`, in order. It is what is kept on disk and
 * what the digest of a manifest is taken of, whatever pages it travelled in. No path has a line break. Pure.
 */
import { createHash } from "node:crypto"
import type { EntryList, NewEntry } from "./EntryList.ts"
import { problem, type RelativePath } from "./RelativePath.ts"

/** The lines of one page. */
export const pageText = (entries: EntryList, page: number): string => {
  let text = ""
  for (const [path, kind, size, mtime, executable] of entries.page(page) ?? []) {
    text += `${kind} ${size} ${mtime} ${executable} ${path}\n`
  }
  return text
}

const line = /^([fd]) (\d{1,16}) (-?\d{1,16}) ([01]) (.+)$/u

/** The entries of some lines; undefined where they are not what this program writes. */
export const parsePage = (text: string): Array<NewEntry> | undefined => {
  const entries: Array<NewEntry> = []
  for (const one of text.split("\n").slice(0, -1)) {
    const [, kind, size, mtime, executable, path] = line.exec(one) ?? []
    if (path === undefined || problem(path) !== undefined) return undefined
    entries.push({
      // It was checked above.
      path: path as RelativePath,
      kind: kind === "d" ? "d" : "f",
      size: Number(size),
      mtime: Number(mtime),
      executable: executable === "1"
    })
  }
  return text.endsWith("\n") ? entries : undefined
}

/** The digest of a manifest, page by page: SHA-256 over all its lines, hex. */
export class ManifestDigest {
  private readonly hash = createHash("sha256")

  add(text: string | Uint8Array): void {
    this.hash.update(text)
  }

  /** Once, at the end. */
  get hex(): string {
    return this.hash.digest("hex")
  }
}
