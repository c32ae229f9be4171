/**
 * Writes the JSON Schema of everything that crosses the wire to docs/protocol/, for whoever writes another node. A
 * test fails when the files there are not what this makes.
 */
import * as Schema from "effect/Schema"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { Announcement } from "../src/schema/Announcement.ts"
import { DataFrame } from "../src/schema/Block.ts"
import { Frame } from "../src/schema/Frame.ts"

export const directory = join(dirname(dirname(fileURLToPath(import.meta.url))), "docs", "protocol")

/** A document whose definitions are the cases of a union, by their tag. */
const union = (title: string, cases: Record<string, Schema.Constraint>) => ({
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title,
  oneOf: Object.keys(cases).map((tag) => ({ $ref: `#/$defs/${tag}` })),
  $defs: Object.fromEntries(
    Object.entries(cases).map(([tag, schema]) => [tag, Schema.toJsonSchemaDocument(schema).schema])
  )
})

const documents: Record<string, unknown> = {
  "control-frames.json": union("The body of a frame on a control link (ALPN kith/1)", Frame.cases),
  "data-frames.json": union("The body of a frame record on a data link (ALPN kith-data/1)", DataFrame.cases),
  "announcement.json": {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "An announcement datagram, without its padding",
    ...Schema.toJsonSchemaDocument(Announcement).schema
  }
}

/** The text of each file, by its name. */
export const files: ReadonlyMap<string, string> = new Map(
  Object.entries(documents).map(([name, document]) => [name, `${JSON.stringify(document, null, 2)}\n`])
)

if (import.meta.main) {
  mkdirSync(directory, { recursive: true })
  for (const [name, text] of files) writeFileSync(join(directory, name), text)
}
