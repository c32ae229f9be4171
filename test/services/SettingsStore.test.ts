/** Settings are what their schema says, or none, or an error that names them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { AcceptPolicy } from "../../src/schema/Peer.ts"
import { Name } from "../../src/schema/Text.ts"
import { Database } from "../../src/services/Database.ts"
import { type Setting, SettingsStore } from "../../src/services/SettingsStore.ts"

const memory = SettingsStore.layer.pipe(Layer.provideMerge(Database.layerMemory))

const name: Setting<string> = { key: "name", schema: Name }
const accept: Setting<AcceptPolicy> = { key: "accept", schema: AcceptPolicy }

describe("SettingsStore", () => {
  it.effect("keeps each under its key, the latest value", () =>
    Effect.gen(function* () {
      const store = yield* SettingsStore
      assert.isTrue(Option.isNone(yield* store.get(name)))
      yield* store.set(name, "alice")
      yield* store.set(accept, "nobody")
      yield* store.set(name, 'al"ice 🎉')
      assert.deepStrictEqual(yield* store.get(name), Option.some('al"ice 🎉'))
      assert.deepStrictEqual(yield* store.get(accept), Option.some("nobody" as const))
      yield* store.unset(name)
      assert.isTrue(Option.isNone(yield* store.get(name)))
    }).pipe(Effect.provide(memory))
  )

  it.effect("keeps structures", () =>
    Effect.gen(function* () {
      const store = yield* SettingsStore
      const schema = Schema.Struct({ up: Schema.NullOr(Schema.Int), names: Schema.Array(Schema.String) })
      const caps: Setting<typeof schema.Type> = { key: "caps", schema }
      yield* store.set(caps, { up: null, names: ["a", ""] })
      assert.deepStrictEqual(yield* store.get(caps), Option.some({ up: null, names: ["a", ""] }))
    }).pipe(Effect.provide(memory))
  )

  it.effect("refuses a value that its schema does", () =>
    Effect.gen(function* () {
      const store = yield* SettingsStore
      assert.strictEqual((yield* Effect.flip(store.set(name, "")))._tag, "DatabaseError")
      assert.isTrue(Option.isNone(yield* store.get(name)))
      yield* store.set({ key: "accept", schema: Schema.String }, "whoever")
      const error = yield* Effect.flip(store.get(accept))
      assert.match(error.message, /the setting "accept" holds what this version cannot read/)
    }).pipe(Effect.provide(memory))
  )
})
