/** Every limit with its value, as docs/SECURITY.md tells them: `node scripts/security-limits.ts` writes it there. */
import * as Duration from "effect/Duration"
import * as ManifestBudget from "../../src/actors/transfers/ManifestBudget.ts"
import { bodyMaxBytes } from "../../src/api/Guard.ts"
import { limits } from "../../src/config.ts"
import * as Announcement from "../../src/schema/Announcement.ts"
import * as Block from "../../src/schema/Block.ts"
import * as Frame from "../../src/schema/Frame.ts"
import * as Manifest from "../../src/schema/Manifest.ts"
import * as ManifestCheck from "../../src/schema/ManifestCheck.ts"
import * as RelativePath from "../../src/schema/RelativePath.ts"
import * as Text from "../../src/schema/Text.ts"

/** As a person reads it: bytes where the name says bytes, else a time or a number. */
const shown = (name: string, value: unknown): string => {
  if (typeof value !== "number") return Duration.isDuration(value) ? Duration.format(value) : "?"
  const units = ["B", "KiB", "MiB"]
  if (!/bytes|manifest(s|Unverified)?Max$/i.test(name)) return value.toLocaleString("en")
  let [size, unit] = [value, 0]
  while (size % 1024 === 0 && unit < 2) [size, unit] = [size / 1024, unit + 1]
  return `${size.toLocaleString("en")} ${units[unit]}`
}

const of = (module: object, what: string, only = /(Bytes|Max|depthMax)$/): ReadonlyArray<string> =>
  Object.entries(module)
    .filter(([name, value]) => only.test(name) && typeof value === "number")
    // The order of a module's names is not the same wherever it is loaded.
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `| ${name} | ${shown(name, value)} | ${what} |`)

/** Rows of Markdown. */
export const table = [
  "| limit | value | of |",
  "| --- | --- | --- |",
  ...of(Announcement, "datagrams"),
  ...of(Frame, "control frames, in bytes of JSON"),
  ...of(Block, "records of a data link", /^wantsMax$/),
  ...of(Manifest, "offers"),
  ...of(ManifestCheck, "offers"),
  ...of(ManifestBudget, "memory for lists of offers: of a peer, of an unverified one, of all that wait"),
  ...of(RelativePath, "paths, in bytes of UTF-8"),
  ...of(Text, "text, in bytes of UTF-8"),
  ...of({ bodyMaxBytes }, "a request to the API"),
  ...Object.entries(limits).map(([name, value]) => `| ${name} | ${shown(name, value)} | a node (config.ts) |`)
].join("\n")
