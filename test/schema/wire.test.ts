/** Every schema that crosses a border: what it encodes to JSON text decodes to the same again. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { Address, Port } from "../../src/schema/Address.ts"
import { Announcement } from "../../src/schema/Announcement.ts"
import { DataFrame } from "../../src/schema/Block.ts"
import { Event } from "../../src/schema/Event.ts"
import { Frame } from "../../src/schema/Frame.ts"
import { Epoch, GroupId, Instance, MessageId, TransferId } from "../../src/schema/Id.ts"
import { Entry, Mtime, Size, Totals } from "../../src/schema/Manifest.ts"
import { Message } from "../../src/schema/Message.ts"
import { ConflictPolicy, Transfer } from "../../src/schema/Offer.ts"
import { AcceptPolicy, Peer } from "../../src/schema/Peer.ts"
import { PeerId } from "../../src/schema/PeerId.ts"
import { RelativePath } from "../../src/schema/RelativePath.ts"
import { ChatText, Name, Reason, Word } from "../../src/schema/Text.ts"

const schemas: Record<string, Schema.Codec<unknown, unknown>> = {
  AcceptPolicy,
  Address,
  Announcement,
  ChatText,
  ConflictPolicy,
  DataFrame,
  Entry,
  Epoch,
  Event,
  Frame,
  GroupId,
  Instance,
  Message,
  MessageId,
  Mtime,
  Name,
  Peer,
  PeerId,
  Port,
  Reason,
  RelativePath,
  Size,
  Totals,
  Transfer,
  TransferId,
  Word
}

/** JSON writes -0 as 0, which is what it means here. */
const unsigned = (value: unknown): unknown => {
  if (value === 0) return 0
  if (Array.isArray(value)) return value.map(unsigned)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unsigned(inner)]))
}

describe("what crosses a border", () => {
  for (const [name, schema] of Object.entries(schemas)) {
    const json = Schema.fromJsonString(schema)
    const encode = Schema.encodeSync(json)
    const decode = Schema.decodeUnknownSync(json)

    it.prop(`${name}: encodes to JSON and back`, [schema], ([value]) => {
      const text = encode(value)
      assert.deepStrictEqual(decode(text), unsigned(value))
      // Once more: bytes that differ for equal values would make digests and captures differ.
      assert.strictEqual(encode(decode(text)), text)
    })
  }

  for (const [name, cases] of Object.entries({ Frame: Frame.cases, DataFrame: DataFrame.cases, Event: Event.cases })) {
    for (const [tag, schema] of Object.entries(cases)) {
      const one: Schema.Codec<unknown, unknown> = schema
      const json = Schema.fromJsonString(one)

      it.prop(`${name} ${tag}: encodes to JSON and back`, [one], ([value]) => {
        assert.deepStrictEqual(Schema.decodeSync(json)(Schema.encodeSync(json)(value)), unsigned(value))
      })
    }
  }
})
