/** Alarms stay open until someone puts them away, whatever is restarted; the list is bounded. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { limits } from "../../src/config.ts"
import type { Alarm } from "../../src/schema/Alarm.ts"
import { AlarmId } from "../../src/schema/Id.ts"
import { added, Alarms } from "../../src/services/Alarms.ts"
import { Database } from "../../src/services/Database.ts"
import { Events } from "../../src/services/Events.ts"
import { SettingsStore } from "../../src/services/SettingsStore.ts"
import { someId } from "../Some.ts"

const store = SettingsStore.layer.pipe(Layer.provideMerge(Database.layerMemory))

/** One run of a node on this store: raises alarms, and waits until they are noted. */
const run = Effect.gen(function* () {
  const services = yield* Layer.build(
    Layer.fresh(Alarms.layer).pipe(
      Layer.provideMerge(Layer.fresh(Events.layer)),
      Layer.provide(SecureRandom.layerWebCrypto)
    )
  )
  const events = Context.get(services, Events)
  const alarms = Context.get(services, Alarms)
  /** Does it, and returns the lists that were told until one is as long. */
  const until = Effect.fnUntraced(function* (length: number, act: Effect.Effect<unknown, unknown>) {
    const told = yield* events.stream.pipe(
      Stream.filter((event) => event._tag === "AlarmsChanged"),
      Stream.takeUntil((event) => event.alarms.length === length),
      Stream.runCollect,
      Effect.forkChild({ startImmediately: true })
    )
    yield* act
    return yield* Fiber.join(told)
  })
  const raise = (n: number) =>
    events.publish({ _tag: "Alarm", kind: "changedKey", peer: someId(n), text: `alarm ${n}` })
  return { alarms, raise, until }
})

const texts = (alarms: ReadonlyArray<Alarm>) => alarms.map(({ text }) => text)

describe("Alarms", () => {
  it.effect("are there after a restart, until a person puts them away", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { alarms, raise, until } = yield* run
          assert.deepStrictEqual(yield* alarms.list, [])
          yield* TestClock.adjust("5 seconds")
          yield* until(2, Effect.andThen(raise(1), raise(2)))
          const [first] = yield* alarms.list
          assert.deepInclude(first, { kind: "changedKey", peer: someId(1), text: "alarm 1", at: 5000 })
        })
      )
      const { alarms, until } = yield* run
      const [first, second] = yield* alarms.list
      assert(first !== undefined && second !== undefined)
      const told = yield* until(1, alarms.dismiss(first.id))
      assert.deepStrictEqual(told, [{ _tag: "AlarmsChanged", alarms: [second] }])
      const again = yield* Effect.flip(alarms.dismiss(first.id))
      assert.include(again.message, "kith alarms")
      assert.deepStrictEqual(yield* (yield* run).alarms.list, [second])
    }).pipe(Effect.provide(store))
  )

  it.effect("begin anew where what was kept cannot be read", () =>
    Effect.gen(function* () {
      const settings = yield* SettingsStore
      yield* settings.set({ key: "alarms", schema: Schema.String }, "nonsense")
      const { alarms, raise, until } = yield* run
      assert.deepStrictEqual(yield* alarms.list, [])
      yield* until(1, raise(3))
      assert.deepStrictEqual(texts(yield* alarms.list), ["alarm 3"])
    }).pipe(Effect.provide(store))
  )

  it("that are raised again are one, with the newest time; the oldest make room", () => {
    const id = (n: number) => AlarmId.make(`${"a".repeat(23)}${String.fromCharCode(98 + (n % 20))}${"ab"[n % 2]}a`)
    const raised = (n: number) => ({ _tag: "Alarm", kind: "clonedIdentity", peer: someId(0), text: `${n}` }) as const
    let open: ReadonlyArray<Alarm> = []
    for (let n = 0; n < limits.alarmsMax + 3; n++) open = added(open, raised(n), id(n), n)
    assert.strictEqual(open.length, limits.alarmsMax)
    assert.strictEqual(open[0]?.text, "3")
    const again = added(open, raised(3), id(0), 1000)
    assert.strictEqual(again.length, limits.alarmsMax)
    assert.deepStrictEqual(again.at(-1), { ...open[0], at: 1000 })
  })
})
