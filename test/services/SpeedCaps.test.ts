/** Caps that were set are kept, unless the start says otherwise; what cannot be read or written stops nothing. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { limits, NodeConfig, type NodeSettings } from "../../src/config.ts"
import { type Caps, capMin } from "../../src/schema/Profile.ts"
import { PeerId } from "../../src/schema/PeerId.ts"
import { Database } from "../../src/services/Database.ts"
import { SettingsStore } from "../../src/services/SettingsStore.ts"
import { SpeedCaps } from "../../src/services/SpeedCaps.ts"

const store = SettingsStore.layer.pipe(Layer.provideMerge(Database.layerMemory))
const alice = PeerId.make("a".repeat(52))
const bob = PeerId.make("q".repeat(52))

/** A run of a node over what is kept. */
const run = (settings: Partial<NodeSettings> = {}) =>
  Effect.map(
    Layer.build(
      Layer.fresh(SpeedCaps.layer).pipe(
        Layer.provide(NodeConfig.layer({ name: "a", dataDir: "/nonexistent", ...settings }))
      )
    ),
    (context) => Context.get(context, SpeedCaps)
  )

const told = Effect.fnUntraced(function* (caps: SpeedCaps["Service"]) {
  const heard = new Map<PeerId | null, Caps>()
  yield* caps.watch((peer, now) => void heard.set(peer, now))
  return heard
})

describe("SpeedCaps", () => {
  it.effect("are there in the next run, for whoever keeps to them", () =>
    Effect.gen(function* () {
      const first = yield* run()
      assert.deepStrictEqual(yield* first.set(null, { send: 1 }), { send: capMin, receive: null })
      yield* first.set(alice, { send: 10_000, receive: 20_000 })
      yield* first.set(bob, { send: 30_000 })
      yield* first.set(bob, { send: null })
      const heard = yield* told(yield* run())
      assert.deepStrictEqual(
        [...heard],
        [
          [null, { send: capMin, receive: null }],
          [alice, { send: 10_000, receive: 20_000 }]
        ]
      )
    }).pipe(Effect.provide(store))
  )

  it.effect("give way to what a start says, for that run and that direction", () =>
    Effect.gen(function* () {
      yield* (yield* run()).set(null, { send: 10_000, receive: 20_000 })
      const uncapped = yield* run({ sendCap: null, fallbacks: ["receiveCap"] })
      assert.deepStrictEqual(yield* uncapped.get(null), { send: null, receive: 20_000 })
      // What is set then is kept, and nothing of what the start said.
      yield* uncapped.set(null, { receive: null })
      const next = yield* run({ receiveCap: 50_000, fallbacks: ["sendCap", "receiveCap"] })
      assert.deepStrictEqual(yield* next.get(null), { send: 10_000, receive: null })
    }).pipe(Effect.provide(store))
  )

  it.effect("hold where they cannot be read or kept", () =>
    Effect.gen(function* () {
      const settings = yield* SettingsStore
      yield* settings.set({ key: "caps", schema: Schema.String }, "fast")
      const caps = yield* run({ sendCap: 10_000 })
      assert.deepStrictEqual(yield* caps.get(null), { send: 10_000, receive: null })
      assert.deepStrictEqual(yield* caps.set(null, { receive: 20_000 }), { send: 10_000, receive: 20_000 })
      assert.deepStrictEqual(yield* (yield* run()).get(null), { send: null, receive: 20_000 })
    }).pipe(Effect.provide(store))
  )

  it.effect("are of so many peers as are remembered: of more, the first goes without", () =>
    Effect.gen(function* () {
      const caps = yield* SpeedCaps
      const heard = yield* told(caps)
      const digits = "abcdefghij"
      const peerAt = (at: number) =>
        PeerId.make(`${Array.from(String(at), (digit) => digits.charAt(Number(digit))).join("")}q`.padStart(52, "z"))
      yield* caps.set(alice, { send: 10_000 })
      for (let at = 0; at < limits.peersMax; at++) yield* caps.set(peerAt(at), { send: 20_000 })
      assert.deepStrictEqual(heard.get(alice), { send: null, receive: null })
      assert.deepStrictEqual(yield* caps.get(alice), { send: null, receive: null })
      assert.deepStrictEqual(yield* caps.get(peerAt(0)), { send: 20_000, receive: null })
    }).pipe(
      Effect.provide(
        SpeedCaps.layerMemory.pipe(Layer.provide(NodeConfig.layer({ name: "a", dataDir: "/nonexistent" })))
      )
    )
  )
})
