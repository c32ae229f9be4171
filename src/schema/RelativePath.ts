/**
 * The path of an entry below the top of an offer: components joined by `/`, the same on every platform.
 * What is dangerous anywhere is refused here, at the door. What merely cannot be stored on one receiver
 * (reserved or colliding names) is that receiver's concern and is left out there by name.
 */
import * as Schema from "effect/Schema"
import { byteLength } from "./Text.ts"

/** Longest path and component in UTF-8 bytes (Linux NAME_MAX is 255), and deepest nesting. */
export const pathMaxBytes = 1024
export const componentMaxBytes = 255
export const depthMax = 64

/** The receiver's own directory below a receive folder; no offer may write there. */
export const reservedTop = ".kith"

// oxlint-disable-next-line no-control-regex -- finding control characters is the point
const control = /[\u0000-\u001f\u007f-\u009f]/

/**
 * Whether some file system would take this first component for the reserved one: letter case, compatibility forms,
 * invisible characters (HFS+) and trailing dots and spaces (Windows) tell names apart on Linux, not everywhere.
 */
const isReserved = (component: string): boolean =>
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
  if (byteLength(path) > pathMaxBytes) return `is longer than ${pathMaxBytes} bytes`
  const components = path.split("/")
  if (components.length > depthMax) return `is nested deeper than ${depthMax}`
  for (const component of components) {
    if (component === "") return "has an empty component"
    if (component === "." || component === "..") return `has the component "${component}"`
    if (byteLength(component) > componentMaxBytes) return `has a component longer than ${componentMaxBytes} bytes`
  }
  return isReserved(components[0] ?? "") ? `begins with ${reservedTop}, which is this program's own` : undefined
}

/** A path that is safe to create below a receive folder. */
export const RelativePath = Schema.String.check(
  Schema.makeFilter(
    (path: string) => {
      const found = problem(path)
      return found === undefined || `the path ${JSON.stringify(path.slice(0, 60))} ${found}`
    },
    {
      description: "a relative path",
      toJsonSchema: () => [{ minLength: 1, maxLength: pathMaxBytes }, true],
      arbitraryConstraint: { minLength: 1 }
    }
  )
).pipe(Schema.brand("RelativePath"))
export type RelativePath = typeof RelativePath.Type

/** The first component: the name under which the sender picked it. */
export const top = (path: RelativePath): string => path.split("/", 1)[0] ?? path
