/**
 * The path of an entry below the top of an offer: components joined by `/`, the same on every platform.
 * What is dangerous anywhere is refused here, at the door. What merely cannot be stored on one receiver
 * (reserved or colliding names) is that receiver's concern and is left out there by name.
 */
import * as Schema from "effect/Schema"
import { pathMaxBytes, problem } from "./PathRules.ts"

export { componentMaxBytes, depthMax, pathMaxBytes, problem, reservedTop } from "./PathRules.ts"

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
export const top = (path: RelativePath): string => {
  const slash = path.indexOf("/")
  return slash < 0 ? path : path.slice(0, slash)
}
