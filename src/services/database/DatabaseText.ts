/**
 * Text that another chose, as it comes from the database. Up to Node 22, node:sqlite ends a text at its first U+0000,
 * so such a column is asked for as its bytes (`CAST(name AS BLOB)`) and decoded here. Pure.
 */
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })
const encoder = new TextEncoder()

export const TextFromBytes = Schema.Uint8Array.pipe(
  Schema.decodeTo(
    Schema.String,
    SchemaTransformation.transform({
      decode: (bytes: Uint8Array) => utf8.decode(bytes),
      encode: (text: string): Uint8Array => encoder.encode(text)
    })
  )
)
