/**
 * The rules of a path that may travel, without anything that checks them for others: a thread that needs the rules alone
 * loads nothing else. `RelativePath` is the schema over them. Pure.
 */
import type { RelativePath } from "./RelativePath.ts"

/** Longest path and component in UTF-8 bytes (Linux NAME_MAX is 255), and deepest nesting. */
export const pathMaxBytes = 1024
export const componentMaxBytes = 255
export const depthMax = 64

/** The receiver's own directory below a receive folder; no offer may write there. */
export const reservedTop = ".kith"

// oxlint-disable-next-line no-control-regex -- finding control characters is the point
const control = /[\u0000-\u001f\u007f-\u009f]/

const encoder = new TextEncoder()

/** Whether a text is longer than so many bytes of UTF-8, of which a character takes at most three for each unit. */
export const isLonger = (text: string, bytes: number): boolean =>
  text.length > bytes || (text.length * 3 > bytes && encoder.encode(text).length > bytes)

/**
 * Whether some file system would take this first component for the reserved one: letter case, compatibility forms,
 * invisible characters (HFS+) and trailing dots and spaces (Windows) tell names apart on Linux, not everywhere.
 */
const isReserved = (component: string): boolean =>
  // What begins with a letter or digit does so in every form of it.
  !/^[A-Za-z0-9]/.test(component) &&
  component
    .normalize("NFKC")
    .replace(/\p{Default_Ignorable_Code_Point}/gu, "")
    .toUpperCase()
    .toLowerCase()
    .replace(/[. ]+$/, "") === reservedTop

/** Why a path may not be written below a receive folder, or undefined if it may. */
export const problem = (path: string): string | undefined => {
  if (path === "") return "is empty"
  if (!path.isWellFormed()) return "holds a lone surrogate"
  if (control.test(path)) return "holds a control character"
  if (path.startsWith("/")) return "is absolute"
  // `a:b` is an ordinary name on Unix; where it is none, the receiver leaves it out like other names it cannot store.
  if (/^[A-Za-z]:(\/|$)/.test(path)) return "names a drive"
  if (path.includes("\\")) return "holds a backslash"
  if (isLonger(path, pathMaxBytes)) return `is longer than ${pathMaxBytes} bytes`
  let depth = 0
  let first = ""
  for (let from = 0, to = 0; to < path.length; from = to + 1) {
    const slash = path.indexOf("/", from)
    to = slash < 0 ? path.length : slash
    const component = path.slice(from, to)
    if (depth++ === 0) first = component
    if (depth > depthMax) return `is nested deeper than ${depthMax}`
    if (component === "" || slash === path.length - 1) return "has an empty component"
    if (component === "." || component === "..") return `has the component "${component}"`
    if (isLonger(component, componentMaxBytes)) return `has a component longer than ${componentMaxBytes} bytes`
  }
  return isReserved(first) ? `begins with ${reservedTop}, which is this program's own` : undefined
}

/** The rules as a guard. */
export const isRelativePath = (path: string): path is RelativePath => problem(path) === undefined
