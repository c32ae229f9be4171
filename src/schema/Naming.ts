/**
 * What names a receiving file system can store and tell apart. What it cannot is left out of a transfer by name,
 * so that a tree from another system can still be sent. Pure.
 */
import { isLonger } from "./PathRules.ts"

/** As probed on the target. */
export interface Naming {
  /** Whether `a` and `A` are two names. */
  readonly caseSensitive: boolean
  /** Whether composed and decomposed `é` are two names. */
  readonly normalizationSensitive: boolean
  /** Longest component, in UTF-8 bytes. */
  readonly componentMaxBytes: number
  /** Longest path below the staging directory, in UTF-8 bytes. */
  readonly pathMaxBytes: number
  /** Whether device names (`CON`, `nul.txt`), `<>:"|?*` and a dot or space at the end are refused. */
  readonly windows: boolean
}

const device = /^(?:con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³])\s*(?:\.|$)/i

/** Why this path cannot be stored there, or undefined if it can. */
export const unstorable = (naming: Naming, path: string): string | undefined => {
  if (isLonger(path, naming.pathMaxBytes)) return "its path is too long for the file system here"
  // Where only lengths matter, and all of it is no longer than one name may be.
  if (!naming.windows && !isLonger(path, naming.componentMaxBytes)) return undefined
  for (const component of path.split("/")) {
    if (isLonger(component, naming.componentMaxBytes)) return "its name is too long for the file system here"
    if (!naming.windows) continue
    if (device.test(component)) return `"${component}" is a device name here`
    if (/[<>:"|?*]/.test(component)) return "its name has a character that cannot be stored here"
    if (/[. ]$/.test(component)) return "a name that ends in a dot or a space cannot be stored here"
  }
  return undefined
}

/** Two paths with the same key are one file there. */
const collisionKey = (naming: Naming, path: string): string => {
  if (!naming.caseSensitive) return path.normalize("NFKC").toUpperCase().normalize("NFKC")
  return naming.normalizationSensitive ? path : path.normalize("NFC")
}

/** Remembers the names seen, and says which a target would take for another. One for each manifest. */
export class Collisions {
  private readonly naming: Naming
  private readonly seen = new Map<string, string>()

  constructor(naming: Naming) {
    this.naming = naming
  }

  /** Why this path, or a directory on the way to it, cannot be told from an earlier one; else undefined. */
  problem(path: string): string | undefined {
    if (this.naming.caseSensitive && this.naming.normalizationSensitive) return undefined
    for (let end = path.indexOf("/"); ; end = path.indexOf("/", end + 1)) {
      const prefix = end < 0 ? path : path.slice(0, end)
      const key = collisionKey(this.naming, prefix)
      const other = this.seen.get(key)
      if (other === undefined) this.seen.set(key, prefix)
      else if (other !== prefix) return `its name cannot be told from "${other}" here`
      if (end < 0) return undefined
    }
  }
}
