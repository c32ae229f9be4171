/**
 * Alarms that nobody has put away yet, so that one raised while nobody looked is seen later. It owns the list, takes
 * down what is raised (the event `Alarm`), and keeps it for the next run. Every change is told as `AlarmsChanged`; its
 * fibers end with its layer.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { limits } from "../config.ts"
import { Alarm, UnknownAlarm } from "../schema/Alarm.ts"
import type { Event } from "../schema/Event.ts"
import { AlarmId, idBytes } from "../schema/Id.ts"
import { base32 } from "../schema/PeerId.ts"
import type { DatabaseError } from "./Database.ts"
import { Events } from "./Events.ts"
import { SettingsStore } from "./SettingsStore.ts"

export { UnknownAlarm } from "../schema/Alarm.ts"

export class Alarms extends Context.Service<
  Alarms,
  {
    /** Those that are open, the oldest first. */
    readonly list: Effect.Effect<ReadonlyArray<Alarm>>
    /** A person has understood it. Returns once that is safe, or said not to be. */
    readonly dismiss: (id: AlarmId) => Effect.Effect<void, UnknownAlarm>
  }
>()("kith/services/Alarms") {
  static readonly layer: Layer.Layer<Alarms, never, Events | SettingsStore | SecureRandom.SecureRandom> = Layer.effect(
    this,
    Effect.suspend(() => make)
  )
}

const setting = { key: "alarms", schema: Schema.Array(Alarm) }

type Raised = Extract<Event, { readonly _tag: "Alarm" }>

/** The list with one more: what was raised before is raised anew, and the oldest makes room. Pure. */
export const added = (open: ReadonlyArray<Alarm>, raised: Raised, id: AlarmId, at: number): ReadonlyArray<Alarm> => {
  const { kind, peer, text } = raised
  const before = open.find((one) => one.kind === kind && one.peer === peer && one.text === text)
  const others = open.filter((one) => one !== before)
  return [...others, { id: before?.id ?? id, kind, peer, text, at }].slice(-limits.alarmsMax)
}

const make = Effect.gen(function* () {
  const events = yield* Events
  const store = yield* SettingsStore
  const random = yield* SecureRandom.SecureRandom
  const turn = yield* Semaphore.make(1)

  // Nothing about the list keeps a node from starting.
  const warn = (error: DatabaseError) => Effect.logWarning(`Open alarms are not kept: ${error.message}.`)
  let open: ReadonlyArray<Alarm> = yield* store.get(setting).pipe(
    Effect.map(Option.getOrElse((): ReadonlyArray<Alarm> => [])),
    Effect.catch((error) => Effect.as(warn(error), []))
  )

  /** One change at a time, and the newest list is what is kept. */
  const change = Effect.fnUntraced(function* (next: ReadonlyArray<Alarm>) {
    open = next
    yield* events.publish({ _tag: "AlarmsChanged", alarms: open })
    yield* turn.withPermit(Effect.suspend(() => Effect.catch(store.set(setting, open), warn)))
  }, Effect.uninterruptible)

  const raise = Effect.fnUntraced(function* (raised: Raised) {
    const id = AlarmId.make(base32(yield* random.randomBytes(idBytes)))
    yield* change(added(open, raised, id, Math.floor(yield* Clock.currentTimeMillis)))
  })

  const dismiss = Effect.fn("Alarms.dismiss")(function* (id: AlarmId) {
    const next = open.filter((one) => one.id !== id)
    if (next.length === open.length) return yield* new UnknownAlarm({ id })
    yield* change(next)
  })

  yield* events.stream.pipe(
    Stream.runForEach((event) => (event._tag === "Alarm" ? raise(event) : Effect.void)),
    Effect.forkScoped({ startImmediately: true })
  )
  return Alarms.of({ list: Effect.sync(() => open), dismiss })
})
