/**
 * Patterns by which a person names a part of an offer. `*` is any text within a name, `?` one character, `[a-z]` and
 * `[!a-z]` one of these or none of them, `{a,b}` either, a name `**` any directories, also none; `\` before a sign
 * takes that from it. A pattern without `/` is about a name at any depth, another about the path from the top. What
 * names a directory names all that is in it.
 *
 * Own code, since node:path's matchesGlob parses the pattern for each path (an offer has up to a million) and warns
 * that it is an experiment on Node 22. The time is bounded by the product of both lengths, whatever they are. Pure.
 */
import * as Schema from "effect/Schema"

/** Longest pattern in UTF-16 units, most patterns at once, and most alternatives that braces may stand for. */
const patternMax = 1024
export const patternsMax = 64
const alternativesMax = 64

export const Pattern = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(patternMax))

type Sign =
  | { readonly _tag: "Char"; readonly char: string }
  | { readonly _tag: "One" }
  | { readonly _tag: "Many" }
  | { readonly _tag: "Set"; readonly not: boolean; readonly ranges: ReadonlyArray<readonly [string, string]> }

/** A name's pattern, or any number of directories. */
type Part = ReadonlyArray<Sign> | "**"

/** Whether what a path names (or a directory above it) is meant. */
export type Glob = (path: string) => boolean

/** Any of these patterns. */
export const compile = (patterns: ReadonlyArray<string>): Glob => {
  const all = patterns.flatMap((pattern) => expand(pattern).map(parse))
  return (path) => {
    const names = path.split("/").map((name) => [...name])
    return all.some((parts) => matches(parts, names))
  }
}

/** `a{b,c}` as `ab` and `ac`. A brace without its end, or with too much in it, is a character like any other. */
const expand = (pattern: string): ReadonlyArray<string> => {
  let done = [pattern]
  for (let at = 0; at < done.length && done.length <= alternativesMax;) {
    const parts = alternatives(done[at] ?? "")
    if (parts === undefined) at++
    else done.splice(at, 1, ...parts)
  }
  if (done.length > alternativesMax) done = [pattern]
  return done
}

const alternatives = (pattern: string): ReadonlyArray<string> | undefined => {
  let depth = 0
  let open = -1
  let commas: Array<number> = []
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at]
    if (char === "\\") at++
    else if (char === "{") {
      if (depth++ === 0) {
        open = at
        commas = []
      }
    } else if (char === "," && depth === 1) commas.push(at)
    else if (char === "}" && depth > 0 && --depth === 0 && commas.length > 0) {
      const cuts = [open, ...commas, at]
      return cuts
        .slice(1)
        .map((cut, i) => pattern.slice(0, open) + pattern.slice((cuts[i] ?? 0) + 1, cut) + pattern.slice(at + 1))
    }
  }
  return undefined
}

const parse = (pattern: string): ReadonlyArray<Part> => {
  const anchored = pattern.replace(/^\.?\/+/, "").replace(/\/+$/, "")
  const parts = anchored.split("/").map((part): Part => (part === "**" ? part : signs(part)))
  return pattern.replace(/\/+$/, "").includes("/") ? parts : ["**", ...parts]
}

const signs = (part: string): ReadonlyArray<Sign> => {
  const chars = [...part]
  const found: Array<Sign> = []
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? ""
    if (char === "*") found.push({ _tag: "Many" })
    else if (char === "?") found.push({ _tag: "One" })
    else if (char === "[") {
      const end = chars.indexOf("]", at + (chars[at + 1] === "!" ? 3 : 2))
      if (end < 0) found.push({ _tag: "Char", char })
      else {
        found.push(setOf(chars.slice(at + 1, end)))
        at = end
      }
    } else if (char === "\\" && at + 1 < chars.length) found.push({ _tag: "Char", char: chars[++at] ?? "" })
    else found.push({ _tag: "Char", char })
  }
  return found
}

const setOf = (inside: ReadonlyArray<string>): Sign => {
  const not = inside[0] === "!"
  const chars = not ? inside.slice(1) : inside
  const ranges: Array<readonly [string, string]> = []
  for (let at = 0; at < chars.length; at++) {
    const from = chars[at] ?? ""
    const isRange = chars[at + 1] === "-" && at + 2 < chars.length
    ranges.push([from, isRange ? (chars[at + 2] ?? from) : from])
    if (isRange) at += 2
  }
  return { _tag: "Set", not, ranges }
}

const one = (sign: Sign, char: string): boolean => {
  switch (sign._tag) {
    case "Char":
      return sign.char === char
    case "Set":
      return sign.ranges.some(([from, to]) => from <= char && char <= to) !== sign.not
    default:
      return true
  }
}

/**
 * Items against a pattern with gaps of any length: where it goes wrong, the last gap takes one item more. Never back
 * beyond the last gap, so the time is a product and not a power. `prefix`: items may be left over.
 */
const gapped = <A extends {}, P extends {}>(
  pattern: ReadonlyArray<P>,
  items: ReadonlyArray<A>,
  rules: {
    readonly isGap: (part: P) => boolean
    readonly fits: (part: P, item: A) => boolean
    readonly prefix: boolean
  }
): boolean => {
  let part = 0
  let item = 0
  let gap = -1
  let resume = 0
  while (item < items.length) {
    const here = pattern[part]
    const next = items[item]
    if (here === undefined && rules.prefix) return true
    if (here !== undefined && rules.isGap(here)) {
      gap = part++
      resume = item
    } else if (here !== undefined && next !== undefined && rules.fits(here, next)) {
      part++
      item++
    } else if (gap >= 0) {
      part = gap + 1
      item = ++resume
    } else return false
  }
  return pattern.slice(part).every(rules.isGap)
}

const names = {
  isGap: (part: Part) => part === "**",
  fits: (part: Part, name: ReadonlyArray<string>) =>
    part !== "**" && gapped(part, name, { isGap: (sign: Sign) => sign._tag === "Many", fits: one, prefix: false }),
  prefix: true
}

const matches = (parts: ReadonlyArray<Part>, path: ReadonlyArray<ReadonlyArray<string>>): boolean =>
  gapped(parts, path, names)
