/** What a person changes of the profile stands, and is kept, whatever the disk said before and whoever asked has gone. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { NodeConfig } from "../../src/config.ts"
import { DatabaseError } from "../../src/services/Database.ts"
import { Profile } from "../../src/services/Profile.ts"
import { SettingsStore } from "../../src/services/SettingsStore.ts"

/** Runs it with a profile over a store that does this before it keeps a value. */
const over = <E>(
  before: Effect.Effect<void, DatabaseError>,
  test: (profile: Profile["Service"], kept: ReadonlyArray<unknown>) => Effect.Effect<void, E>
) => {
  const kept: Array<unknown> = []
  const store = Layer.mock(SettingsStore, {
    get: () => Effect.succeedNone,
    set: (_setting, value) =>
      Effect.andThen(
        before,
        Effect.sync(() => void kept.push(value))
      )
  })
  const config = NodeConfig.layer({ name: "alice", dataDir: "/nowhere" })
  return Profile.use((profile) => test(profile, kept)).pipe(
    Effect.provide([Profile.layer.pipe(Layer.provide([store, config])), Logger.layer([])])
  )
}

describe("Profile.change", () => {
  it.effect("is kept when it is said again, though the disk refused it the first time", () => {
    let isFull = true
    const full = new DatabaseError({ reason: "full", path: "kith.db", problem: "the disk is full", remedy: "" })
    return over(
      Effect.suspend(() => (isFull ? Effect.fail(full) : Effect.void)),
      Effect.fnUntraced(function* (profile, kept) {
        assert.strictEqual((yield* profile.change({ name: "ann" })).name, "ann")
        assert.deepStrictEqual(kept, [])
        isFull = false
        yield* profile.change({ name: "ann" })
        assert.deepStrictEqual(kept, [{ name: "ann" }])
      })
    )
  })

  it.effect("is kept though only this start had chosen the same", () =>
    over(
      Effect.void,
      Effect.fnUntraced(function* (profile, kept) {
        yield* profile.change({ name: "alice", statusText: "here" })
        assert.deepStrictEqual(kept, [{ name: "alice", status: "available", statusText: "here" }])
      })
    )
  )

  it.effect("is kept though whoever changed it has gone", () =>
    Effect.gen(function* () {
      const [asked, goesOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      yield* over(
        Effect.andThen(Deferred.succeed(asked, undefined), Deferred.await(goesOn)),
        Effect.fnUntraced(function* (profile, kept) {
          const changing = yield* Effect.forkChild(profile.change({ accept: "nobody" }), { startImmediately: true })
          yield* Deferred.await(asked)
          yield* Effect.forkChild(Fiber.interrupt(changing), { startImmediately: true })
          yield* Deferred.succeed(goesOn, undefined)
          yield* Fiber.await(changing)
          assert.strictEqual((yield* profile.current).accept, "nobody")
          assert.deepStrictEqual(kept, [{ accept: "nobody" }])
        })
      )
    })
  )
})
