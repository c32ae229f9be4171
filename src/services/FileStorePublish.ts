/**
 * Gives what was staged its name in the receive folder, in one step and never over anything that is there.
 *
 * A file is linked under its new name (which fails if that exists), then unlinked from the staging; where there are
 * no hard links an exclusive placeholder is made and renamed over. A directory is claimed by making an empty one, and
 * renamed over the claim: a bare rename would silently replace an empty directory. A crash at any point leaves the
 * name absent, whole, or an empty claim. Nothing is owned here.
 */
import { byteLength } from "../schema/Text.ts"
import { componentMaxBytes } from "../schema/RelativePath.ts"
import type { Directory } from "./FileStoreHeld.ts"
import * as System from "./FileStoreSystem.ts"

/** Copies of one name before giving up: nobody wants the ten-thousandth. */
const copiesMax = 9999

/** Shortened at a character's end until the whole fits a component. */
const fitted = (stem: string, rest: string): string => {
  let characters = [...stem]
  while (characters.length > 1 && byteLength(characters.join("")) + byteLength(rest) > componentMaxBytes) {
    characters = characters.slice(0, -1)
  }
  return characters.join("") + rest
}

/** `report.pdf`, `report (1).pdf`, `report (2).pdf`; a directory has no extension, and a leading dot begins none. */
export const copyName = (name: string, kind: "f" | "d", copy: number): string => {
  if (copy === 0) return name
  const suffix = kind === "d" ? "" : (/.((?:\.tar)?\.[^.]{1,16})$/s.exec(name)?.[1] ?? "")
  return fitted(name.slice(0, name.length - suffix.length), ` (${copy})${suffix}`)
}

/** True if the error says that something stands there already. */
const taken = (cause: unknown): boolean => {
  const code = System.codeOf(cause)
  return code === "EEXIST" || code === "ENOTEMPTY" || (code === "EPERM" && process.platform === "win32")
}

/** Codes by which a file system says that it has no hard links (or no more for this file). */
const linkless = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EXDEV", "EINVAL"])

const publishFile = async (from: string, to: string): Promise<void> => {
  try {
    await System.link(from, to)
  } catch (cause) {
    if (!linkless.has(System.codeOf(cause))) throw cause
    await System.close(await System.open(to, System.flags.create))
    await System.rename(from, to).catch(async (failed: unknown) => {
      await System.unlink(to)
      throw failed
    })
    return
  }
  await System.unlink(from)
}

const publishDirectory = async (from: string, to: string): Promise<void> => {
  await System.mkdir(to, 0o777)
  if (process.platform === "win32") await System.rmdir(to)
  try {
    await System.rename(from, to)
  } catch (cause) {
    // Someone put something into the claim, which makes it theirs.
    if (!taken(cause)) await System.rmdir(to)
    throw cause
  }
}

/** Publishes one top entry; returns the name it got. */
export const publish = async (from: Directory, to: Directory, name: string): Promise<string> => {
  const kind = (await System.lstat(from.at(name))).isDirectory() ? "d" : "f"
  const move = kind === "d" ? publishDirectory : publishFile
  for (let copy = 0; ; copy++) {
    const wanted = copyName(name, kind, copy)
    try {
      await move(from.at(name), to.at(wanted))
      return wanted
    } catch (cause) {
      if (!taken(cause) || copy >= copiesMax) throw cause
    }
  }
}
